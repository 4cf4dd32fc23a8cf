-- +goose Up

-- Over a broker a command is handed over, and stays: what the broker has confirmed is no outcome, and the row leaves when
-- its order is settled. How often it was handed over is counted by itself. It is no claim that came to nothing, and no
-- answer.
--
-- A domain says what the two may hold (00021); its form comes when the columns are there, so that no row is written anew,
-- and is NOT VALID: a column that is new is 0 everywhere.
CREATE DOMAIN outbox_sends AS integer;
ALTER TABLE outbox
	ADD COLUMN sends outbox_sends NOT NULL DEFAULT 0,
	ADD COLUMN refused outbox_sends NOT NULL DEFAULT 0;
ALTER DOMAIN outbox_sends ADD CONSTRAINT outbox_sends_count CHECK (VALUE >= 0) NOT VALID;

COMMENT ON COLUMN outbox.sends IS 'How often the command was handed over to a broker: the number of the latest send';
COMMENT ON COLUMN outbox.refused IS 'The latest send whose refusal was counted; 0: none was';

-- What carried a command may be an event. NOT VALID: the rows that are there have passed a narrower form.
ALTER TABLE attempts
	DROP CONSTRAINT attempts_rpc_known,
	ADD CONSTRAINT attempts_rpc_known CHECK (
		rpc IN ('ProcessPayments', 'ChargePayment', 'VoidPayment', 'OrderPlaced', 'OrderCancelling')) NOT VALID;

COMMENT ON COLUMN attempts.claim IS 'Which of the command''s claims and sends it was; one that was given up at its deadline may have had none';
COMMENT ON COLUMN attempts.rpc IS 'The method of payment.v1.PaymentService, or the event of events.v1; NULL: nothing was sent';

-- Which orders database this is, as the payments database has it. The order events on a broker say so, which may be
-- another environment's, too: a payment service acts on those of one orders database alone. A physical copy, a restored
-- backup and a promoted standby keep the identity, since they are this database.
CREATE TABLE database_identity (
	id         uuid        NOT NULL DEFAULT gen_random_uuid(),
	only_row   boolean     NOT NULL DEFAULT true,
	created_at timestamptz NOT NULL DEFAULT clock_timestamp(),

	CONSTRAINT database_identity_pkey PRIMARY KEY (only_row),
	CONSTRAINT database_identity_one_row CHECK (only_row)
);

INSERT INTO database_identity DEFAULT VALUES;

COMMENT ON TABLE database_identity IS 'One row, which never changes: which orders database this is';

-- +goose StatementBegin
CREATE FUNCTION database_identity_refuse() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	RAISE EXCEPTION 'the identity of an orders database never changes: % refused', TG_OP
		USING ERRCODE = 'check_violation', CONSTRAINT = 'database_identity_fixed', TABLE = 'database_identity';
END
$$;
-- +goose StatementEnd

CREATE TRIGGER database_identity_fixed BEFORE UPDATE OR DELETE OR TRUNCATE ON database_identity
	FOR EACH STATEMENT EXECUTE FUNCTION database_identity_refuse();

-- grant_roles is that of 00024, and the relay's new columns and table.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION grant_roles(OUT granted text[], OUT missing text[]) LANGUAGE plpgsql AS $$
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
			('hosho_relay', 'database_identity', 'SELECT (id)'),
			('hosho_relay', 'outbox', 'SELECT (id, key, kind, payload, expires_at, traceparent, attempts, claims, '
				'answers, ready_at, leased_until, lease_token, suspect, parked_at, last_code, created_at, '
				'sends, refused)'),
			('hosho_relay', 'outbox', 'INSERT (key, kind, payload, expires_at, traceparent)'),
			('hosho_relay', 'outbox', 'UPDATE (payload, attempts, claims, answers, ready_at, leased_until, '
				'lease_token, parked_at, last_code, sends, refused)'),
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
-- +goose StatementBegin
DO $$ BEGIN EXECUTE format('ALTER FUNCTION grant_roles() SET search_path = %I, pg_temp', current_schema()); END $$;
-- +goose StatementEnd

SELECT grant_roles();

-- +goose Down
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION grant_roles(OUT granted text[], OUT missing text[]) LANGUAGE plpgsql AS $$
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
-- +goose StatementBegin
DO $$ BEGIN EXECUTE format('ALTER FUNCTION grant_roles() SET search_path = %I, pg_temp', current_schema()); END $$;
-- +goose StatementEnd

DROP TABLE database_identity;
DROP FUNCTION database_identity_refuse;
-- What was recorded of a broker's sends stays, as far as the form of before has a word for it.
UPDATE attempts SET rpc = 'ProcessPayments' WHERE rpc IN ('OrderPlaced', 'OrderCancelling');
ALTER TABLE attempts
	DROP CONSTRAINT attempts_rpc_known,
	ADD CONSTRAINT attempts_rpc_known CHECK (rpc IN ('ProcessPayments', 'ChargePayment', 'VoidPayment'));
COMMENT ON COLUMN attempts.claim IS 'Which of the command''s claims it was; one that was given up at its deadline may have had none';
COMMENT ON COLUMN attempts.rpc IS 'The method of payment.v1.PaymentService; NULL: nothing was sent';
ALTER TABLE outbox DROP COLUMN sends, DROP COLUMN refused;
DROP DOMAIN outbox_sends;
