-- +goose Up

-- The rows of before 00009 are read once more, as 00022 of orders has it.
ALTER TABLE payments VALIDATE CONSTRAINT payments_declined_for_a_reason;

-- +goose StatementBegin
DO $$
DECLARE
	form record;
BEGIN
	FOR form IN
		SELECT contypid::regtype AS type, conname AS name
		FROM pg_constraint
		WHERE contypid IN (
				SELECT atttypid FROM pg_attribute WHERE attrelid IN ('payments'::regclass, 'ledger'::regclass))
			AND NOT convalidated AND pg_relation_size('payments') + pg_relation_size('ledger') <= 64 * 1024 * 1024
	LOOP
		EXECUTE format('ALTER DOMAIN %s VALIDATE CONSTRAINT %I', form.type, form.name);
	END LOOP;
	-- A column that was given another type has lost what the planner knew of it.
	IF pg_relation_size('payments') > 0 THEN
		ANALYZE payments (customer_id, amount_minor, currency, status, decline_reason);
	END IF;
END
$$;
-- +goose StatementEnd

-- +goose Down
