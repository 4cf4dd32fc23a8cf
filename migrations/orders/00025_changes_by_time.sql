-- +goose NO TRANSACTION

-- +goose Up

-- sagactl reconcile --every asks which orders were given up since it looked before, however old they are. An order that
-- goes well has no row in changes, and costs nothing more.
--
-- Built beside everybody who reads and writes. What a try leaves behind that did not end is no index.
DROP INDEX CONCURRENTLY IF EXISTS changes_by_time;
CREATE INDEX CONCURRENTLY changes_by_time ON changes (at, order_id);

-- +goose Down
DROP INDEX CONCURRENTLY changes_by_time;
