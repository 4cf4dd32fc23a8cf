-- +goose Up

-- Each program may do what it needs, and no more, as 00024 of orders has it, and why.
-- +goose StatementBegin
CREATE FUNCTION grant_roles(OUT granted text[], OUT missing text[]) LANGUAGE plpgsql AS $$
DECLARE
	here constant regnamespace := current_schema()::regnamespace;
	owner constant text := 'hosho_payments_owner';
	users text; -- the groups that there are, as GRANT takes them
	thing record;
	may record;
BEGIN
	SELECT array_agg(name) FILTER (WHERE to_regrole(name) IS NOT NULL),
		array_agg(name) FILTER (WHERE to_regrole(name) IS NULL),
		string_agg(name, ', ') FILTER (WHERE to_regrole(name) IS NOT NULL AND name <> owner)
	INTO granted, missing, users
	FROM unnest(ARRAY[owner, 'hosho_paymentd', 'hosho_payments_reader']) AS name;
	IF granted IS NULL THEN
		RETURN;
	END IF;
	PERFORM pg_advisory_xact_lock(hashtext('grant_roles')); -- two at once would change the same rows of the catalog

	FOR thing IN
		SELECT 'TABLE ' || oid::regclass AS name, relkind IN ('r', 'p', 'v', 'm') AS readable
		FROM pg_class
		WHERE relnamespace = here AND relkind IN ('r', 'p', 'v', 'm', 'S') AND pg_has_role(relowner, 'USAGE')
			AND NOT EXISTS (
				SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid AND deptype = 'e')
		UNION ALL
		SELECT 'FUNCTION ' || oid::regprocedure, false
		FROM pg_proc
		WHERE pronamespace = here AND pg_has_role(proowner, 'USAGE')
			AND NOT EXISTS (
				SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = pg_proc.oid AND deptype = 'e')
	LOOP
		EXECUTE format('REVOKE ALL ON %s FROM %s', thing.name, concat_ws(', ', 'PUBLIC', users));
		IF thing.readable AND to_regrole('hosho_payments_reader') IS NOT NULL THEN
			EXECUTE format('GRANT SELECT ON %s TO hosho_payments_reader', thing.name);
		END IF;
	END LOOP;

	IF (SELECT pg_has_role(nspowner, 'USAGE') FROM pg_namespace WHERE oid = here) THEN
		EXECUTE format('REVOKE CREATE ON SCHEMA %s FROM PUBLIC', here);
		IF users IS NOT NULL THEN
			EXECUTE format('REVOKE ALL ON SCHEMA %s FROM %s', here, users);
			EXECUTE format('GRANT USAGE ON SCHEMA %s TO %s', here, users);
		END IF;
	END IF;
	IF (SELECT pg_has_role(datdba, 'USAGE') FROM pg_database WHERE datname = current_database()) THEN
		EXECUTE format('REVOKE ALL ON DATABASE %I FROM %s', current_database(), concat_ws(', ', 'PUBLIC', users));
		IF users IS NOT NULL THEN
			EXECUTE format('GRANT CONNECT ON DATABASE %I TO %s', current_database(), users);
		END IF;
	END IF;

	FOR may IN
		SELECT group_name, rights, table_name
		FROM (VALUES
			('hosho_paymentd', 'payments', 'SELECT (id, customer_id, amount_minor, currency, status, decline_reason, '
				'created_at, updated_at)'),
			('hosho_paymentd', 'payments', 'INSERT (id, customer_id, amount_minor, currency, status, decline_reason)'),
			('hosho_paymentd', 'payments', 'UPDATE (status, updated_at)'),
			('hosho_paymentd', 'ledger', 'SELECT (payment_id, kind, amount_minor, currency, at)'),
			('hosho_paymentd', 'ledger', 'INSERT (payment_id, kind, amount_minor, currency)'),
			('hosho_paymentd', 'database_identity', 'SELECT (id)')
		) AS all_rights (group_name, table_name, rights)
		UNION ALL
		SELECT 'hosho_paymentd', 'SELECT', unnest(ARRAY['goose_db_version', 'schema_identity'])
	LOOP
		IF may.group_name = ANY (granted) THEN
			EXECUTE format('GRANT %s ON %I TO %I', may.rights, may.table_name, may.group_name);
		END IF;
	END LOOP;
END
$$;
-- +goose StatementEnd

COMMENT ON FUNCTION grant_roles IS
	'Gives the groups that there are their rights, and takes all others from them; returns which groups there are';

-- What a function means by a name is not for its caller to say, whose search_path may begin with tables and operators
-- of his own. ledger_payment runs for every charge, and to set and reset the path would be a microsecond or two of
-- each: it says by itself where its names are.
-- +goose StatementBegin
DO $$
DECLARE
	name text;
BEGIN
	FOREACH name IN ARRAY ARRAY['payments_refuse', 'payments_kept', 'ledger_refuse', 'database_identity_refuse'] LOOP
		EXECUTE format('ALTER FUNCTION %I() SET search_path = pg_catalog, pg_temp', name);
	END LOOP;
	FOREACH name IN ARRAY ARRAY['grant_roles', 'ledger_refund_needs_charge'] LOOP
		EXECUTE format('ALTER FUNCTION %I() SET search_path = %I, pg_temp', name, current_schema());
	END LOOP;
	EXECUTE format($function$
		CREATE OR REPLACE FUNCTION ledger_payment() RETURNS trigger LANGUAGE plpgsql AS $body$
		DECLARE
			missing uuid;
		BEGIN
			SELECT payment_id INTO missing
			FROM added
			WHERE NOT EXISTS (SELECT FROM %I.payments WHERE id OPERATOR(pg_catalog.=) payment_id OFFSET 0)
			LIMIT 1;
			IF FOUND THEN
				RAISE EXCEPTION 'payment %% does not exist', missing
					USING ERRCODE = 'foreign_key_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
			END IF;
			RETURN NULL;
		END
		$body$
	$function$, current_schema());
END
$$;
-- +goose StatementEnd

SELECT grant_roles();

-- +goose Down
-- The groups have nothing any more, and PUBLIC what it has of a new database, but for CREATE in the schema, which is
-- none of it since PostgreSQL 15.
-- +goose StatementBegin
DO $$
DECLARE
	here constant regnamespace := current_schema()::regnamespace;
	groups text;
	thing text;
BEGIN
	SELECT string_agg(name, ', ') INTO groups
	FROM unnest(ARRAY['hosho_paymentd', 'hosho_payments_reader']) AS name
	WHERE to_regrole(name) IS NOT NULL;
	IF groups IS NULL AND to_regrole('hosho_payments_owner') IS NULL THEN
		RETURN;
	END IF;
	IF groups IS NOT NULL THEN
		FOR thing IN
			SELECT oid::regclass
			FROM pg_class
			WHERE relnamespace = here AND relkind IN ('r', 'p', 'v', 'm', 'S') AND pg_has_role(relowner, 'USAGE')
				AND NOT EXISTS (
					SELECT FROM pg_depend
					WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid AND deptype = 'e')
		LOOP
			EXECUTE format('REVOKE ALL ON TABLE %s FROM %s', thing, groups);
		END LOOP;
		IF (SELECT pg_has_role(nspowner, 'USAGE') FROM pg_namespace WHERE oid = here) THEN
			EXECUTE format('REVOKE ALL ON SCHEMA %s FROM %s', here, groups);
		END IF;
	END IF;
	IF (SELECT pg_has_role(datdba, 'USAGE') FROM pg_database WHERE datname = current_database()) THEN
		IF groups IS NOT NULL THEN
			EXECUTE format('REVOKE ALL ON DATABASE %I FROM %s', current_database(), groups);
		END IF;
		EXECUTE format('GRANT CONNECT, TEMPORARY ON DATABASE %I TO PUBLIC', current_database());
	END IF;
	GRANT SELECT ON schema_identity TO PUBLIC;
	GRANT EXECUTE ON FUNCTION payments_refuse(), payments_kept(), ledger_refuse(), ledger_refund_needs_charge(),
		ledger_payment(), database_identity_refuse() TO PUBLIC;
END
$$;
-- +goose StatementEnd
DROP FUNCTION grant_roles;
ALTER FUNCTION payments_refuse() RESET search_path;
ALTER FUNCTION payments_kept() RESET search_path;
ALTER FUNCTION ledger_refuse() RESET search_path;
ALTER FUNCTION ledger_refund_needs_charge() RESET search_path;
ALTER FUNCTION database_identity_refuse() RESET search_path;
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION ledger_payment() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
	missing uuid;
BEGIN
	SELECT payment_id INTO missing
	FROM added
	WHERE NOT EXISTS (SELECT FROM payments WHERE id = payment_id OFFSET 0)
	LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'payment % does not exist', missing
			USING ERRCODE = 'foreign_key_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
	END IF;
	RETURN NULL;
END
$$;
-- +goose StatementEnd
