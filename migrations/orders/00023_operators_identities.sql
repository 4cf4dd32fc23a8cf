-- +goose Up

-- Where relays have certificates an operator is who his certificate says, which is a SPIFFE ID and not the name that he
-- gives: spiffe://example.org/operator. Its form is that of the SPIFFE standard, which allows 2,048 bytes.
ALTER TABLE audit
	DROP CONSTRAINT audit_operator_form,
	ADD CONSTRAINT audit_operator_form CHECK (operator ~ '^[A-Za-z0-9._:@-]{1,64}$'
		OR length(operator) <= 2048 AND operator ~ '^spiffe://[a-z0-9._-]+(/[A-Za-z0-9._-]+)+$');
ALTER TABLE payments_database_audit
	DROP CONSTRAINT payments_database_audit_operator_form,
	ADD CONSTRAINT payments_database_audit_operator_form CHECK (operator ~ '^[A-Za-z0-9._:@-]{1,64}$'
		OR length(operator) <= 2048 AND operator ~ '^spiffe://[a-z0-9._-]+(/[A-Za-z0-9._-]+)+$');

COMMENT ON COLUMN audit.operator IS 'The identity of the certificate; without certificates the name that was given';
COMMENT ON COLUMN payments_database_audit.operator IS 'As in audit';

-- +goose Down

-- What was decided is kept, and so is who decided, as far as the form of before has room for it.
UPDATE audit SET operator = right(regexp_replace(operator, '[^A-Za-z0-9._:@-]', '.', 'g'), 64)
WHERE operator LIKE 'spiffe://%';
UPDATE payments_database_audit SET operator = right(regexp_replace(operator, '[^A-Za-z0-9._:@-]', '.', 'g'), 64)
WHERE operator LIKE 'spiffe://%';
ALTER TABLE audit
	DROP CONSTRAINT audit_operator_form,
	ADD CONSTRAINT audit_operator_form CHECK (operator ~ '^[A-Za-z0-9._:@-]{1,64}$');
ALTER TABLE payments_database_audit
	DROP CONSTRAINT payments_database_audit_operator_form,
	ADD CONSTRAINT payments_database_audit_operator_form CHECK (operator ~ '^[A-Za-z0-9._:@-]{1,64}$');
COMMENT ON COLUMN audit.operator IS NULL;
COMMENT ON COLUMN payments_database_audit.operator IS NULL;
