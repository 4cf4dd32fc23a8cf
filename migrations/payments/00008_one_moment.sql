-- +goose Up

-- Payments that a statement decides, and their entries in the ledger, are of one moment, which the statement tells by
-- itself. So nothing has to be read back of each of them: the statement's caller knows when they were decided once it
-- knows that they are.
ALTER TABLE payments
	ALTER COLUMN created_at SET DEFAULT statement_timestamp(),
	ALTER COLUMN updated_at SET DEFAULT statement_timestamp();
ALTER TABLE ledger ALTER COLUMN at SET DEFAULT statement_timestamp();

-- +goose Down
ALTER TABLE payments
	ALTER COLUMN created_at SET DEFAULT clock_timestamp(),
	ALTER COLUMN updated_at SET DEFAULT clock_timestamp();
ALTER TABLE ledger ALTER COLUMN at SET DEFAULT clock_timestamp();
