-- +goose Up

-- Which payments database these orders are paid in, by the identity that it gave itself. The first one that a relay
-- meets is written down; another one is accepted by a person only, and nothing is sent to it before that.
CREATE TABLE payments_database (
	id       uuid        NOT NULL,
	only_row boolean     NOT NULL DEFAULT true,
	since    timestamptz NOT NULL DEFAULT clock_timestamp(),

	CONSTRAINT payments_database_pkey PRIMARY KEY (only_row),
	CONSTRAINT payments_database_one_row CHECK (only_row)
);

COMMENT ON TABLE payments_database IS 'One row at most: the payments database that is trusted, and since when';

-- Who accepted another payments database, and why.
CREATE TABLE payments_database_audit (
	id       bigint      GENERATED ALWAYS AS IDENTITY,
	from_id  uuid,
	to_id    uuid        NOT NULL,
	operator text        NOT NULL,
	reason   text        NOT NULL,
	at       timestamptz NOT NULL DEFAULT clock_timestamp(),

	CONSTRAINT payments_database_audit_pkey PRIMARY KEY (id),
	CONSTRAINT payments_database_audit_changes CHECK (from_id IS DISTINCT FROM to_id),
	CONSTRAINT payments_database_audit_operator_form CHECK (operator ~ '^[A-Za-z0-9._:@-]{1,64}$'),
	CONSTRAINT payments_database_audit_reason_given CHECK (length(reason) BETWEEN 1 AND 500)
);

COMMENT ON TABLE payments_database_audit IS 'Decisions made by hand; never changed, never deleted';
COMMENT ON COLUMN payments_database_audit.from_id IS 'The one that was trusted before; NULL: none was';

-- +goose Down
DROP TABLE payments_database_audit;
DROP TABLE payments_database;
