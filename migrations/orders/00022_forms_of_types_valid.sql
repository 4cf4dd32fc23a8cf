-- +goose Up

-- The rows of before 00021 are read once more, beside everybody who reads and writes them.
ALTER TABLE orders
	VALIDATE CONSTRAINT orders_request_with_hash,
	VALIDATE CONSTRAINT orders_items_list,
	VALIDATE CONSTRAINT orders_cancelled_for_a_reason;

-- To validate a type's form holds writers up, so that only a small table is read for it. Where there are more rows, it
-- stays NOT VALID, and holds for all of them no less: they have passed it as a CHECK, and what is written passes it.
-- ALTER DOMAIN ... VALIDATE CONSTRAINT may be said at any quiet hour.
-- +goose StatementBegin
DO $$
DECLARE
	form record;
BEGIN
	FOR form IN
		SELECT contypid::regtype AS type, conname AS name
		FROM pg_constraint
		WHERE contypid IN (SELECT atttypid FROM pg_attribute WHERE attrelid = 'orders'::regclass)
			AND NOT convalidated AND pg_relation_size('orders') <= 64 * 1024 * 1024
	LOOP
		EXECUTE format('ALTER DOMAIN %s VALIDATE CONSTRAINT %I', form.type, form.name);
	END LOOP;
	-- A column that was given another type has lost what the planner knew of it.
	IF pg_relation_size('orders') > 0 THEN
		ANALYZE orders (customer_id, request_id, amount_minor, currency, status, cancel_reason);
	END IF;
END
$$;
-- +goose StatementEnd

-- +goose Down
