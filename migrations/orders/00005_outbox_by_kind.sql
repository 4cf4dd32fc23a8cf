-- +goose Up

-- Relays claim each kind of command by itself, so that a million charges that wait, or voids that fail, are not in the
-- way of the others.
CREATE INDEX outbox_ready_of_kind ON outbox (kind, ready_at) WHERE parked_at IS NULL;
CREATE INDEX outbox_suspect_of_kind ON outbox (kind, ready_at) WHERE parked_at IS NULL AND claims - answers >= 3;
DROP INDEX outbox_ready;
DROP INDEX outbox_suspect;

-- A vacuum that finds few dead rows leaves them to the next one, and with them the pages that they are on: after a large
-- backlog the empty table would stay as large as it was.
ALTER TABLE outbox SET (vacuum_index_cleanup = on);

-- +goose Down
ALTER TABLE outbox RESET (vacuum_index_cleanup);
CREATE INDEX outbox_ready ON outbox (ready_at) WHERE parked_at IS NULL;
CREATE INDEX outbox_suspect ON outbox (ready_at) WHERE parked_at IS NULL AND claims - answers >= 3;
DROP INDEX outbox_ready_of_kind;
DROP INDEX outbox_suspect_of_kind;
