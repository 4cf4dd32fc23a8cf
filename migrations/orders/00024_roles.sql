-- +goose Up

-- Each program may do what it needs, and no more: doc/operations.md has it under "Database roles". Roles are the
-- server's, and sagactl bootstrap makes them. Where there are none, nothing here changes anything.

-- grant_roles gives the groups that there are what they are to have of this database. It takes all else from them, and
-- from PUBLIC what any login would have by that: to connect, to make temporary tables, to call functions, to read. All
-- of it is one transaction: nobody is ever without a right that is his. It may be called at any time, and by whoever
-- owns the tables; what belongs to somebody else it leaves alone.
--
-- A migration that adds what a program needs replaces it and calls it. The columns are those of the programs' needs.go,
-- which a test compares with the catalog.
-- +goose StatementBegin
CREATE FUNCTION grant_roles(OUT granted text[], OUT missing text[]) LANGUAGE plpgsql AS $$
DECLARE
	here constant regnamespace := current_schema()::regnamespace;
	owner constant text := 'hosho_orders_owner';
	users text; -- the groups that there are, as GRANT takes them
	thing record;
	may record;
BEGIN
	SELECT array_agg(name) FILTER (WHERE to_regrole(name) IS NOT NULL),
		array_agg(name) FILTER (WHERE to_regrole(name) IS NULL),
		string_agg(name, ', ') FILTER (WHERE to_regrole(name) IS NOT NULL AND name <> owner)
	INTO granted, missing, users
	FROM unnest(ARRAY[owner, 'hosho_orderd', 'hosho_relay', 'hosho_repair', 'hosho_orders_reader']) AS name;
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
		IF thing.readable AND to_regrole('hosho_orders_reader') IS NOT NULL THEN
			EXECUTE format('GRANT SELECT ON %s TO hosho_orders_reader', thing.name);
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
			('hosho_orderd', 'orders', 'SELECT (id, customer_id, request_id, request_hash, items, amount_minor, '
				'currency, status, cancel_reason, created_at, updated_at, deadline_at, completed_at)'),
			('hosho_orderd', 'orders', 'INSERT (id, customer_id, request_id, request_hash, items, amount_minor, '
				'currency, deadline_at)'),
			('hosho_orderd', 'orders', 'UPDATE (status, cancel_reason, updated_at)'), -- see orders_by_role
			('hosho_orderd', 'changes', 'INSERT (order_id, from_status, to_status, at, cause, who, trace_id)'),
			('hosho_orderd', 'outbox', 'SELECT (key, kind)'),
			('hosho_orderd', 'outbox', 'INSERT (key, kind, payload, expires_at, traceparent, lease_token, '
				'leased_until, claims)'),
			('hosho_orderd', 'outbox_claims', 'SELECT (token, kind, lease, until)'),

			('hosho_relay', 'orders', 'SELECT (id, customer_id, items, amount_minor, currency, status, cancel_reason, '
				'created_at, updated_at, deadline_at, completed_at)'),
			('hosho_relay', 'orders', 'UPDATE (status, cancel_reason, updated_at)'),
			('hosho_relay', 'changes', 'SELECT (order_id, id, from_status, to_status, at, cause, who, trace_id)'),
			('hosho_relay', 'changes', 'INSERT (order_id, from_status, to_status, at, cause, who, trace_id)'),
			('hosho_relay', 'attempts', 'SELECT (order_id, command_id, claim, code, kind, at, relay, rpc, means, '
				'latency, trace_id, retry_in)'),
			('hosho_relay', 'attempts', 'INSERT (order_id, command_id, claim, code, kind, relay, rpc, means, latency, '
				'trace_id, retry_in)'),
			('hosho_relay', 'audit', 'SELECT (order_id, id, action, kind, operator, reason, at)'),
			('hosho_relay', 'audit', 'INSERT (order_id, action, kind, operator, reason)'),
			('hosho_relay', 'payments_database', 'SELECT (id)'),
			('hosho_relay', 'payments_database', 'INSERT (id)'),
			('hosho_relay', 'payments_database', 'UPDATE (id, since)'),
			('hosho_relay', 'payments_database_audit', 'INSERT (from_id, to_id, operator, reason)'),
			('hosho_relay', 'outbox', 'SELECT (id, key, kind, payload, expires_at, traceparent, attempts, claims, '
				'answers, ready_at, leased_until, lease_token, suspect, parked_at, last_code, created_at)'),
			('hosho_relay', 'outbox', 'INSERT (key, kind, payload, expires_at, traceparent)'),
			('hosho_relay', 'outbox', 'UPDATE (payload, attempts, claims, answers, ready_at, leased_until, '
				'lease_token, parked_at, last_code)'),
			('hosho_relay', 'outbox', 'DELETE'),
			('hosho_relay', 'outbox_claims', 'SELECT (token, kind, lease, until)'),
			('hosho_relay', 'outbox_claims', 'INSERT (token, kind, lease, until)'),
			('hosho_relay', 'outbox_claims', 'UPDATE (until)'),
			('hosho_relay', 'outbox_claims', 'DELETE'),

			-- What sagactl reconcile --repair reads, and puts to work again. It changes no order: to lock one takes the
			-- right to update a column.
			('hosho_repair', 'orders', 'SELECT (id, customer_id, items, amount_minor, currency, status, cancel_reason, '
				'created_at, updated_at, deadline_at, completed_at)'),
			('hosho_repair', 'orders', 'UPDATE (updated_at)'),
			('hosho_repair', 'changes', 'SELECT (order_id, to_status, cause)'),
			('hosho_repair', 'audit', 'SELECT (order_id, action)'),
			('hosho_repair', 'payments_database', 'SELECT (id)'),
			('hosho_repair', 'outbox', 'SELECT (id, key, kind, attempts, claims, traceparent, expires_at, created_at, '
				'ready_at, leased_until, lease_token, parked_at, last_code)'),
			('hosho_repair', 'outbox', 'INSERT (key, kind, payload, expires_at, traceparent)'),
			('hosho_repair', 'outbox', 'UPDATE (ready_at)')
		) AS all_rights (group_name, table_name, rights)
		UNION ALL
		SELECT group_name, 'SELECT', table_name
		FROM unnest(ARRAY['hosho_orderd', 'hosho_relay', 'hosho_repair']) AS group_name,
			unnest(ARRAY['goose_db_version', 'schema_identity']) AS table_name
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

-- orderd gives orders up, and that is all: how one ends is for a relay to find out. The condition stands in WHEN, so
-- that a legal update never calls the function: to a relay it is one look for a role, 0.3 us of each order of a batch,
-- and 13 of a lone statement, which has the condition to read. Where there is no hosho_orderd, to_regrole is NULL and
-- nobody is refused. A superuser is a member of all roles, and so of hosho_relay; where that is missing, of the role
-- that the server was made with, whose number is 10.
-- +goose StatementBegin
CREATE FUNCTION orders_by_role() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	RAISE EXCEPTION 'role % may give order % up, and not move it from % to %',
			current_user, OLD.id, OLD.status, NEW.status
		USING ERRCODE = 'insufficient_privilege', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER orders_by_role BEFORE UPDATE OF status ON orders FOR EACH ROW
	WHEN (NEW.status <> 'CANCELLING' AND pg_has_role(to_regrole('hosho_orderd'), 'MEMBER')
		AND NOT pg_has_role(coalesce(to_regrole('hosho_relay'), 10), 'MEMBER'))
	EXECUTE FUNCTION orders_by_role();

-- What a function means by a name is not for its caller to say, whose search_path may begin with tables and operators
-- of his own. These two name no table. They run where an order is refused, or leaves COMPLETED: not for every order.
ALTER FUNCTION orders_refuse() SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION orders_remember() SET search_path = pg_catalog, pg_temp;
-- And this one names those of the schema that they are in.
-- +goose StatementBegin
DO $$ BEGIN EXECUTE format('ALTER FUNCTION grant_roles() SET search_path = %I, pg_temp', current_schema()); END $$;
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
	FROM unnest(ARRAY['hosho_orderd', 'hosho_relay', 'hosho_repair', 'hosho_orders_reader']) AS name
	WHERE to_regrole(name) IS NOT NULL;
	IF groups IS NULL AND to_regrole('hosho_orders_owner') IS NULL THEN
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
	GRANT EXECUTE ON FUNCTION orders_refuse(), orders_remember() TO PUBLIC;
END
$$;
-- +goose StatementEnd
DROP TRIGGER orders_by_role ON orders;
DROP FUNCTION orders_by_role, grant_roles;
ALTER FUNCTION orders_refuse() RESET search_path;
ALTER FUNCTION orders_remember() RESET search_path;
