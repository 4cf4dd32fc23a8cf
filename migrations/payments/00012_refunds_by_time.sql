-- +goose NO TRANSACTION

-- +goose Up

-- sagactl reconcile --every asks which payments were refunded since it looked before, however old they are. A charge has
-- no entry in the index, and costs one comparison of words more.
--
-- Built beside everybody who reads and writes. What a try leaves behind that did not end is no index.
DROP INDEX CONCURRENTLY IF EXISTS ledger_refunds;
CREATE INDEX CONCURRENTLY ledger_refunds ON ledger (at, payment_id) WHERE kind = 'REFUND';

-- +goose Down
DROP INDEX CONCURRENTLY ledger_refunds;
