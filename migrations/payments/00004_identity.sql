-- +goose Up

-- Which payments database this is. A payment service says so before it is sent anything, and decides nothing for a
-- caller who means another one: one that was pointed at another environment's database, where every key is free, would
-- otherwise charge there. A physical copy, a restored backup and a promoted standby keep the identity, since they are
-- this database.
CREATE TABLE database_identity (
	id         uuid        NOT NULL DEFAULT gen_random_uuid(),
	only_row   boolean     NOT NULL DEFAULT true,
	created_at timestamptz NOT NULL DEFAULT clock_timestamp(),

	CONSTRAINT database_identity_pkey PRIMARY KEY (only_row),
	CONSTRAINT database_identity_one_row CHECK (only_row)
);

INSERT INTO database_identity DEFAULT VALUES;

COMMENT ON TABLE database_identity IS 'One row, which never changes: which payments database this is';

-- +goose StatementBegin
CREATE FUNCTION database_identity_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION 'the identity of a payments database never changes: % refused', TG_OP
		USING ERRCODE = 'check_violation', CONSTRAINT = 'database_identity_fixed', TABLE = 'database_identity';
END
$$;
-- +goose StatementEnd

CREATE TRIGGER database_identity_fixed BEFORE UPDATE OR DELETE OR TRUNCATE ON database_identity
	FOR EACH STATEMENT EXECUTE FUNCTION database_identity_refuse();

-- +goose Down
DROP TABLE database_identity;
DROP FUNCTION database_identity_refuse;
