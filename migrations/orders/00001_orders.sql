-- +goose Up

-- The order and how far its saga has come. internal/order decides every change of status, internal/orderdb writes it
-- with a compare-and-set, and the trigger below is the last line of defence.
CREATE TABLE orders (
	id            uuid        NOT NULL,
	customer_id   text        NOT NULL,
	request_id    text,
	request_hash  bytea,
	items         jsonb       NOT NULL,
	amount_minor  bigint      NOT NULL,
	currency      text        NOT NULL,
	status        text        NOT NULL DEFAULT 'PENDING',
	cancel_reason text,
	created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
	updated_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
	deadline_at   timestamptz NOT NULL,

	CONSTRAINT orders_pkey PRIMARY KEY (id),
	CONSTRAINT orders_request_once UNIQUE (customer_id, request_id),
	CONSTRAINT orders_request_with_hash CHECK ((request_id IS NULL) = (request_hash IS NULL)),
	CONSTRAINT orders_customer_id_form CHECK (customer_id ~ '^[A-Za-z0-9._:-]{1,64}$'),
	CONSTRAINT orders_request_id_form CHECK (request_id ~ '^[A-Za-z0-9._:-]{1,64}$'),
	CONSTRAINT orders_items_list CHECK (jsonb_typeof(items) = 'array' AND jsonb_array_length(items) BETWEEN 1 AND 100),
	CONSTRAINT orders_amount_range CHECK (amount_minor BETWEEN 1 AND 99999999999),
	CONSTRAINT orders_currency_form CHECK (currency ~ '^[A-Z]{3}$'),
	CONSTRAINT orders_status_known CHECK (status IN ('PENDING', 'COMPLETED', 'CANCELLING', 'CANCELLED')),
	CONSTRAINT orders_cancel_reason_known CHECK (cancel_reason IN ('PAYMENT_DECLINED', 'PAYMENT_FAILED', 'CUSTOMER', 'DEADLINE', 'OPERATOR')),
	CONSTRAINT orders_cancelled_for_a_reason CHECK ((status IN ('CANCELLING', 'CANCELLED')) = (cancel_reason IS NOT NULL))
) WITH (fillfactor = 80); -- room for the one or two updates of a row on its own page

-- Pages of one customer's orders. No index mentions status: its updates stay cheap (HOT).
CREATE INDEX orders_by_customer ON orders (customer_id, id DESC);

COMMENT ON TABLE orders IS 'One row an order; never deleted';
COMMENT ON COLUMN orders.id IS 'UUIDv7 made by orderd; also the key of the order''s payment';
COMMENT ON COLUMN orders.request_id IS 'The client''s idempotency key, unique per customer; NULL when none was given';
COMMENT ON COLUMN orders.request_hash IS 'Fingerprint of the request''s fields, to tell a repeat from a reuse';
COMMENT ON COLUMN orders.items IS '[{"name", "quantity", "unit_price"}], as ordered';
COMMENT ON COLUMN orders.amount_minor IS 'The total in the currency''s minor unit';
COMMENT ON COLUMN orders.deadline_at IS 'An order still PENDING then is given up';

-- +goose StatementBegin
CREATE FUNCTION orders_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION USING
		ERRCODE = 'check_violation',
		CONSTRAINT = TG_NAME,
		TABLE = TG_TABLE_NAME,
		MESSAGE = CASE TG_NAME
			WHEN 'orders_born_pending' THEN format('order %s may not be born %s', NEW.id, NEW.status)
			WHEN 'orders_legal_transition' THEN format('order %s may not go from %s to %s', OLD.id, OLD.status, NEW.status)
			ELSE format('order %s: only status, cancel_reason and updated_at may change', OLD.id)
		END;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER orders_born_pending BEFORE INSERT ON orders FOR EACH ROW
	WHEN (NEW.status <> 'PENDING')
	EXECUTE FUNCTION orders_refuse();

-- The conditions stand in WHEN, so that a legal update never calls the function.
CREATE TRIGGER orders_legal_transition BEFORE UPDATE ON orders FOR EACH ROW
	WHEN (OLD.status <> NEW.status AND NOT (
		   (OLD.status = 'PENDING'    AND NEW.status IN ('COMPLETED', 'CANCELLING', 'CANCELLED'))
		OR (OLD.status = 'COMPLETED'  AND NEW.status = 'CANCELLING')
		OR (OLD.status = 'CANCELLING' AND NEW.status = 'CANCELLED')))
	EXECUTE FUNCTION orders_refuse();

CREATE TRIGGER orders_facts_fixed BEFORE UPDATE ON orders FOR EACH ROW
	WHEN (OLD.status = NEW.status AND OLD.cancel_reason IS DISTINCT FROM NEW.cancel_reason
		OR (OLD.id, OLD.customer_id, OLD.amount_minor, OLD.currency, OLD.created_at, OLD.deadline_at)
			IS DISTINCT FROM (NEW.id, NEW.customer_id, NEW.amount_minor, NEW.currency, NEW.created_at, NEW.deadline_at)
		OR (OLD.request_id, OLD.request_hash) IS DISTINCT FROM (NEW.request_id, NEW.request_hash)
		OR OLD.items IS DISTINCT FROM NEW.items)
	EXECUTE FUNCTION orders_refuse();

-- +goose Down
DROP TABLE orders;
DROP FUNCTION orders_refuse;
