-- +goose Up

-- Orders that a statement writes are created at one moment, which the statement tells by itself. So nothing has to be
-- read back of each of them: the statement's caller knows when they were created once it knows that they are.
ALTER TABLE orders
	ALTER COLUMN created_at SET DEFAULT statement_timestamp(),
	ALTER COLUMN updated_at SET DEFAULT statement_timestamp();

-- +goose Down
ALTER TABLE orders
	ALTER COLUMN created_at SET DEFAULT clock_timestamp(),
	ALTER COLUMN updated_at SET DEFAULT clock_timestamp();
