-- +goose Up

-- The money that moved. Rows are added in the transaction that decides the payment, and never change.
CREATE TABLE ledger (
	payment_id   uuid        NOT NULL,
	kind         text        NOT NULL,
	amount_minor bigint      NOT NULL,
	currency     text        NOT NULL,
	at           timestamptz NOT NULL DEFAULT clock_timestamp(),

	CONSTRAINT ledger_pkey PRIMARY KEY (payment_id, kind), -- one charge, one refund a payment
	CONSTRAINT ledger_payment FOREIGN KEY (payment_id) REFERENCES payments (id),
	CONSTRAINT ledger_kind_known CHECK (kind IN ('CHARGE', 'REFUND')),
	CONSTRAINT ledger_amount_range CHECK (amount_minor BETWEEN 1 AND 99999999999),
	CONSTRAINT ledger_currency_form CHECK (currency ~ '^[A-Z]{3}$')
);

COMMENT ON TABLE ledger IS 'Append-only; a payment''s balance is its CHARGE less its REFUND';
COMMENT ON COLUMN ledger.amount_minor IS 'Always positive; the kind gives the direction';

-- +goose StatementBegin
CREATE FUNCTION ledger_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION 'the ledger is append-only: % refused', TG_OP
		USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_append_only', TABLE = 'ledger';
END
$$;
-- +goose StatementEnd

CREATE TRIGGER ledger_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger
	FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse();

-- +goose StatementBegin
CREATE FUNCTION ledger_refund_needs_charge() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NOT EXISTS (
		SELECT FROM ledger
		WHERE payment_id = NEW.payment_id AND kind = 'CHARGE'
			AND amount_minor = NEW.amount_minor AND currency = NEW.currency
	) THEN
		RAISE EXCEPTION 'payment % may not be refunded % %: no such charge', NEW.payment_id, NEW.amount_minor, NEW.currency
			USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_refund_needs_charge', TABLE = 'ledger';
	END IF;
	RETURN NEW;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER ledger_refund_needs_charge BEFORE INSERT ON ledger FOR EACH ROW
	WHEN (NEW.kind = 'REFUND')
	EXECUTE FUNCTION ledger_refund_needs_charge();

-- +goose Down
DROP TABLE ledger;
DROP FUNCTION ledger_refuse, ledger_refund_needs_charge;
