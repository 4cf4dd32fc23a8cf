-- +goose Up

-- Whose schema this is, so that a program which was given another one's database says so instead of working there. And
-- from which migration on: a program whose newest migration is at least compatible_from works with this schema, however
-- new it is. Only a migration that takes away what older programs use sets it, to its own number.
CREATE TABLE schema_identity (
	name            text   NOT NULL,
	compatible_from bigint NOT NULL,

	CONSTRAINT schema_identity_pkey PRIMARY KEY (name),
	CONSTRAINT schema_identity_one_row CHECK (name = 'orders')
);

INSERT INTO schema_identity (name, compatible_from) VALUES ('orders', 5);

-- Whoever may connect may know. So programs that were given their rights one by one find their way after an upgrade.
GRANT SELECT ON schema_identity TO PUBLIC;

COMMENT ON TABLE schema_identity IS 'One row: whose schema this is';
COMMENT ON COLUMN schema_identity.compatible_from IS
	'Programs whose newest migration is older than this do not work with this schema';

-- +goose Down
DROP TABLE schema_identity;
