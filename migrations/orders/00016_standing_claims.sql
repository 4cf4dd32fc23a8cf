-- +goose Up

-- Who takes commands as they are written. Such a command is born with a claim of that relay's, in the statement that
-- writes it, and the relay only has to read it: no update, no commit, no second version of the row. A claim of this
-- kind is short, and another relay takes what it was not kept for, as after any lease.
--
-- Programs of before know nothing of it: they write commands that nobody holds, and honour the leases of the others.
CREATE TABLE outbox_claims (
	token uuid        NOT NULL,
	kind  text        NOT NULL,
	lease interval    NOT NULL,
	until timestamptz NOT NULL,

	CONSTRAINT outbox_claims_pkey PRIMARY KEY (token),
	CONSTRAINT outbox_claims_kind_form CHECK (length(kind) BETWEEN 1 AND 32 AND kind !~ '[^A-Z]'),
	CONSTRAINT outbox_claims_lease_range CHECK (lease > '0' AND lease <= '1 hour')
);

COMMENT ON TABLE outbox_claims IS 'Standing claims: relays that hold new commands from the moment at which they are written';
COMMENT ON COLUMN outbox_claims.token IS 'lease_token of the commands that are born with this claim';
COMMENT ON COLUMN outbox_claims.kind IS 'CHARGE or VOID';
COMMENT ON COLUMN outbox_claims.lease IS 'How long such a command is held, counted from when it was written';
COMMENT ON COLUMN outbox_claims.until IS 'From then on it says nothing: its relay has not renewed it';

-- What a statement writes is due at one moment, which the statement tells by itself: by that a relay finds all of it.
ALTER TABLE outbox
	ALTER COLUMN ready_at SET DEFAULT statement_timestamp(),
	ALTER COLUMN created_at SET DEFAULT statement_timestamp();

-- Whoever may write commands may have them born with a claim, and whoever may claim may make standing ones.
-- +goose StatementBegin
DO $$
DECLARE
	may record;
BEGIN
	FOR may IN
		SELECT a.privilege_type AS privilege, c.attname IS NULL AS whole,
			CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END AS grantee
		FROM (
			SELECT NULL::name AS attname, relacl AS acl FROM pg_class WHERE oid = 'outbox'::regclass
			UNION ALL
			SELECT attname, attacl FROM pg_attribute
			WHERE attrelid = 'outbox'::regclass AND attname IN ('key', 'lease_token')
		) AS c, aclexplode(c.acl) AS a
		WHERE a.privilege_type = 'INSERT' AND c.attname IS DISTINCT FROM 'lease_token'
			OR a.privilege_type = 'UPDATE' AND c.attname IS DISTINCT FROM 'key'
	LOOP
		EXECUTE format('GRANT SELECT ON outbox_claims TO %s', may.grantee);
		IF may.privilege = 'UPDATE' THEN
			EXECUTE format('GRANT INSERT, UPDATE, DELETE ON outbox_claims TO %s', may.grantee);
		ELSIF NOT may.whole THEN
			EXECUTE format('GRANT INSERT (claims, leased_until, lease_token) ON outbox TO %s', may.grantee);
		END IF;
	END LOOP;
END
$$;
-- +goose StatementEnd

-- +goose Down
ALTER TABLE outbox
	ALTER COLUMN ready_at SET DEFAULT clock_timestamp(),
	ALTER COLUMN created_at SET DEFAULT clock_timestamp();
DROP TABLE outbox_claims;
