-- +goose Up

-- Which orders database these payments are for, by the identity that it gave itself. Events on a broker carry it: the
-- first one that a paymentd meets there is written down; another one is accepted by a person only, and nothing that it
-- says is acted on before that. 00008 of orders has the same about the payments database.
CREATE TABLE orders_database (
	id       uuid        NOT NULL,
	only_row boolean     NOT NULL DEFAULT true,
	since    timestamptz NOT NULL DEFAULT clock_timestamp(),

	CONSTRAINT orders_database_pkey PRIMARY KEY (only_row),
	CONSTRAINT orders_database_one_row CHECK (only_row)
);

COMMENT ON TABLE orders_database IS 'One row at most: the orders database that is trusted, and since when';

-- Who accepted another orders database, and why. Where paymentd has a certificate an operator is who his certificate
-- says, as 00023 of orders has it.
CREATE TABLE orders_database_audit (
	id       bigint      GENERATED ALWAYS AS IDENTITY,
	from_id  uuid,
	to_id    uuid        NOT NULL,
	operator text        NOT NULL,
	reason   text        NOT NULL,
	at       timestamptz NOT NULL DEFAULT clock_timestamp(),

	CONSTRAINT orders_database_audit_pkey PRIMARY KEY (id),
	CONSTRAINT orders_database_audit_changes CHECK (from_id IS DISTINCT FROM to_id),
	CONSTRAINT orders_database_audit_operator_form CHECK (operator ~ '^[A-Za-z0-9._:@-]{1,64}$'
		OR length(operator) <= 2048 AND operator ~ '^spiffe://[a-z0-9._-]+(/[A-Za-z0-9._-]+)+$'),
	CONSTRAINT orders_database_audit_reason_given CHECK (length(reason) BETWEEN 1 AND 500)
);

COMMENT ON TABLE orders_database_audit IS 'Decisions made by hand; never changed, never deleted';
COMMENT ON COLUMN orders_database_audit.from_id IS 'The one that was trusted before; NULL: none was';
COMMENT ON COLUMN orders_database_audit.operator IS
	'The identity of the certificate; without certificates the name that was given';

-- grant_roles is that of 00011, and gives paymentd the rights to these tables after those that it had.
-- +goose StatementBegin
DO $$
DECLARE
	known constant text := pg_get_functiondef('grant_roles'::regproc);
	latest constant text := $rights$('hosho_paymentd', 'database_identity', 'SELECT (id)')$rights$;
	further constant text := $rights$,
			('hosho_paymentd', 'orders_database', 'SELECT (id)'),
			('hosho_paymentd', 'orders_database', 'INSERT (id)'),
			('hosho_paymentd', 'orders_database', 'UPDATE (id, since)'),
			('hosho_paymentd', 'orders_database_audit', 'INSERT (from_id, to_id, operator, reason)')$rights$;
BEGIN
	ASSERT position(latest IN known) > 0, 'grant_roles is that of 00011';
	EXECUTE replace(known, latest, latest || further);
END
$$;
-- +goose StatementEnd

SELECT grant_roles();

-- +goose Down
-- +goose StatementBegin
DO $$
BEGIN
	EXECUTE regexp_replace(pg_get_functiondef('grant_roles'::regproc),
		$rights$,\s+\('hosho_paymentd', 'orders_database(_audit)?', '[^']+'\)$rights$, '', 'g');
END
$$;
-- +goose StatementEnd
DROP TABLE orders_database_audit;
DROP TABLE orders_database;
