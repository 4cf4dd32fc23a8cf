-- +goose Up

-- What was decided under each payment key. The primary key is the idempotency: whoever inserts first decides.
CREATE TABLE payments (
	id             uuid        NOT NULL,
	customer_id    text        NOT NULL,
	amount_minor   bigint      NOT NULL,
	currency       text        NOT NULL,
	status         text        NOT NULL,
	decline_reason text,
	created_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
	updated_at     timestamptz NOT NULL DEFAULT clock_timestamp(),

	CONSTRAINT payments_pkey PRIMARY KEY (id),
	CONSTRAINT payments_customer_id_form CHECK (customer_id ~ '^[A-Za-z0-9._:-]{1,64}$'),
	CONSTRAINT payments_amount_range CHECK (amount_minor BETWEEN 1 AND 99999999999),
	CONSTRAINT payments_currency_form CHECK (currency ~ '^[A-Z]{3}$'),
	CONSTRAINT payments_status_known CHECK (status IN ('CHARGED', 'DECLINED', 'VOIDED', 'REFUNDED')),
	CONSTRAINT payments_decline_reason_known CHECK (decline_reason IN ('INSUFFICIENT_FUNDS', 'EXPIRED')),
	CONSTRAINT payments_declined_for_a_reason CHECK ((status = 'DECLINED') = (decline_reason IS NOT NULL))
) WITH (fillfactor = 90);

-- Pages of one customer's payments.
CREATE INDEX payments_by_customer ON payments (customer_id, id DESC);

COMMENT ON TABLE payments IS 'One row a payment key; never deleted, or a late charge would be taken for a new one';
COMMENT ON COLUMN payments.id IS 'The payment key, chosen by the caller: the order''s id';
COMMENT ON COLUMN payments.amount_minor IS 'In the currency''s minor unit';
COMMENT ON COLUMN payments.status IS 'VOIDED: a tombstone, never charged and never will be';

-- +goose StatementBegin
CREATE FUNCTION payments_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION USING
		ERRCODE = 'check_violation',
		CONSTRAINT = TG_NAME,
		TABLE = TG_TABLE_NAME,
		MESSAGE = CASE TG_NAME
			WHEN 'payments_born_decided' THEN format('payment %s may not be born %s', NEW.id, NEW.status)
			WHEN 'payments_legal_transition' THEN format('payment %s may not go from %s to %s', OLD.id, OLD.status, NEW.status)
			ELSE format('payment %s: only status and updated_at may change', OLD.id)
		END;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER payments_born_decided BEFORE INSERT ON payments FOR EACH ROW
	WHEN (NEW.status = 'REFUNDED')
	EXECUTE FUNCTION payments_refuse();

-- The conditions stand in WHEN, so that a legal update never calls the function.
CREATE TRIGGER payments_legal_transition BEFORE UPDATE ON payments FOR EACH ROW
	WHEN (OLD.status <> NEW.status AND NOT (OLD.status = 'CHARGED' AND NEW.status = 'REFUNDED'))
	EXECUTE FUNCTION payments_refuse();

CREATE TRIGGER payments_facts_fixed BEFORE UPDATE ON payments FOR EACH ROW
	WHEN ((OLD.id, OLD.customer_id, OLD.amount_minor, OLD.currency, OLD.created_at)
			IS DISTINCT FROM (NEW.id, NEW.customer_id, NEW.amount_minor, NEW.currency, NEW.created_at)
		OR OLD.decline_reason IS DISTINCT FROM NEW.decline_reason)
	EXECUTE FUNCTION payments_refuse();

-- +goose Down
DROP TABLE payments;
DROP FUNCTION payments_refuse;
