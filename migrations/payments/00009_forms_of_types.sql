-- +goose Up

-- What one column may hold is said by its type, as 00021 of orders has it, and why, and why NOT VALID. A charge of one
-- has 6 kB of CHECKs less to read.
LOCK TABLE payments, ledger; -- in this order, as whoever decides takes the locks

DROP TRIGGER payments_born_decided ON payments;
DROP TRIGGER payments_legal_transition ON payments;
DROP TRIGGER payments_facts_fixed ON payments;
DROP TRIGGER ledger_refund_needs_charge ON ledger;

ALTER TABLE payments
	DROP CONSTRAINT payments_customer_id_form,
	DROP CONSTRAINT payments_amount_range,
	DROP CONSTRAINT payments_currency_form,
	DROP CONSTRAINT payments_status_known,
	DROP CONSTRAINT payments_decline_reason_known,
	DROP CONSTRAINT payments_declined_for_a_reason;
ALTER TABLE ledger
	DROP CONSTRAINT ledger_kind_known,
	DROP CONSTRAINT ledger_amount_range,
	DROP CONSTRAINT ledger_currency_form;

-- A column that takes a domain without CHECKs is not read.
CREATE DOMAIN payments_customer_id AS text;
CREATE DOMAIN payments_amount AS bigint;
CREATE DOMAIN payments_currency AS text;
CREATE DOMAIN payments_status AS text;
CREATE DOMAIN payments_decline_reason AS text;
CREATE DOMAIN ledger_kind AS text;
CREATE DOMAIN ledger_amount AS bigint;
CREATE DOMAIN ledger_currency AS text;

ALTER TABLE payments
	ALTER COLUMN customer_id TYPE payments_customer_id,
	ALTER COLUMN amount_minor TYPE payments_amount,
	ALTER COLUMN currency TYPE payments_currency,
	ALTER COLUMN status TYPE payments_status,
	ALTER COLUMN decline_reason TYPE payments_decline_reason;
ALTER TABLE ledger
	ALTER COLUMN kind TYPE ledger_kind,
	ALTER COLUMN amount_minor TYPE ledger_amount,
	ALTER COLUMN currency TYPE ledger_currency;

ALTER DOMAIN payments_customer_id ADD CONSTRAINT payments_customer_id_form
	CHECK (length(VALUE) BETWEEN 1 AND 64 AND VALUE !~ '[^A-Za-z0-9._:-]') NOT VALID;
ALTER DOMAIN payments_amount ADD CONSTRAINT payments_amount_range
	CHECK (VALUE BETWEEN 1 AND 99999999999) NOT VALID;
ALTER DOMAIN payments_currency ADD CONSTRAINT payments_currency_form
	CHECK (length(VALUE) = 3 AND VALUE !~ '[^A-Z]') NOT VALID;
ALTER DOMAIN payments_status ADD CONSTRAINT payments_status_known
	CHECK (VALUE IN ('CHARGED', 'DECLINED', 'VOIDED', 'REFUNDED')) NOT VALID;
ALTER DOMAIN payments_decline_reason ADD CONSTRAINT payments_decline_reason_known
	CHECK (VALUE IN ('INSUFFICIENT_FUNDS', 'EXPIRED')) NOT VALID;
ALTER DOMAIN ledger_kind ADD CONSTRAINT ledger_kind_known
	CHECK (VALUE IN ('CHARGE', 'REFUND')) NOT VALID;
ALTER DOMAIN ledger_amount ADD CONSTRAINT ledger_amount_range
	CHECK (VALUE BETWEEN 1 AND 99999999999) NOT VALID;
ALTER DOMAIN ledger_currency ADD CONSTRAINT ledger_currency_form
	CHECK (length(VALUE) = 3 AND VALUE !~ '[^A-Z]') NOT VALID;

ALTER TABLE payments ADD CONSTRAINT payments_declined_for_a_reason
	CHECK ((status = 'DECLINED') = (decline_reason IS NOT NULL)) NOT VALID;

CREATE TRIGGER payments_born_decided BEFORE INSERT ON payments FOR EACH ROW
	WHEN (NEW.status = 'REFUNDED')
	EXECUTE FUNCTION payments_refuse();

CREATE TRIGGER payments_legal_transition BEFORE UPDATE ON payments FOR EACH ROW
	WHEN (OLD.status <> NEW.status AND NOT (OLD.status = 'CHARGED' AND NEW.status = 'REFUNDED'))
	EXECUTE FUNCTION payments_refuse();

CREATE TRIGGER payments_facts_fixed BEFORE UPDATE ON payments FOR EACH ROW
	WHEN ((OLD.id, OLD.customer_id, OLD.amount_minor, OLD.currency, OLD.created_at)
			IS DISTINCT FROM (NEW.id, NEW.customer_id, NEW.amount_minor, NEW.currency, NEW.created_at)
		OR OLD.decline_reason IS DISTINCT FROM NEW.decline_reason)
	EXECUTE FUNCTION payments_refuse();

CREATE TRIGGER ledger_refund_needs_charge BEFORE INSERT ON ledger FOR EACH ROW
	WHEN (NEW.kind = 'REFUND')
	EXECUTE FUNCTION ledger_refund_needs_charge();

-- +goose Down
LOCK TABLE payments, ledger;

DROP TRIGGER payments_born_decided ON payments;
DROP TRIGGER payments_legal_transition ON payments;
DROP TRIGGER payments_facts_fixed ON payments;
DROP TRIGGER ledger_refund_needs_charge ON ledger;

ALTER TABLE payments
	ALTER COLUMN customer_id TYPE text,
	ALTER COLUMN amount_minor TYPE bigint,
	ALTER COLUMN currency TYPE text,
	ALTER COLUMN status TYPE text,
	ALTER COLUMN decline_reason TYPE text;
ALTER TABLE ledger
	ALTER COLUMN kind TYPE text,
	ALTER COLUMN amount_minor TYPE bigint,
	ALTER COLUMN currency TYPE text;

DROP DOMAIN payments_customer_id, payments_amount, payments_currency, payments_status, payments_decline_reason,
	ledger_kind, ledger_amount, ledger_currency;

ALTER TABLE payments
	ADD CONSTRAINT payments_customer_id_form
		CHECK (length(customer_id) BETWEEN 1 AND 64 AND customer_id !~ '[^A-Za-z0-9._:-]'),
	ADD CONSTRAINT payments_amount_range CHECK (amount_minor BETWEEN 1 AND 99999999999),
	ADD CONSTRAINT payments_currency_form CHECK (length(currency) = 3 AND currency !~ '[^A-Z]'),
	ADD CONSTRAINT payments_status_known CHECK (status IN ('CHARGED', 'DECLINED', 'VOIDED', 'REFUNDED')),
	ADD CONSTRAINT payments_decline_reason_known CHECK (decline_reason IN ('INSUFFICIENT_FUNDS', 'EXPIRED'));
ALTER TABLE ledger
	ADD CONSTRAINT ledger_kind_known CHECK (kind IN ('CHARGE', 'REFUND')),
	ADD CONSTRAINT ledger_amount_range CHECK (amount_minor BETWEEN 1 AND 99999999999),
	ADD CONSTRAINT ledger_currency_form CHECK (length(currency) = 3 AND currency !~ '[^A-Z]');

CREATE TRIGGER payments_born_decided BEFORE INSERT ON payments FOR EACH ROW
	WHEN (NEW.status = 'REFUNDED')
	EXECUTE FUNCTION payments_refuse();

CREATE TRIGGER payments_legal_transition BEFORE UPDATE ON payments FOR EACH ROW
	WHEN (OLD.status <> NEW.status AND NOT (OLD.status = 'CHARGED' AND NEW.status = 'REFUNDED'))
	EXECUTE FUNCTION payments_refuse();

CREATE TRIGGER payments_facts_fixed BEFORE UPDATE ON payments FOR EACH ROW
	WHEN ((OLD.id, OLD.customer_id, OLD.amount_minor, OLD.currency, OLD.created_at)
			IS DISTINCT FROM (NEW.id, NEW.customer_id, NEW.amount_minor, NEW.currency, NEW.created_at)
		OR OLD.decline_reason IS DISTINCT FROM NEW.decline_reason)
	EXECUTE FUNCTION payments_refuse();

CREATE TRIGGER ledger_refund_needs_charge BEFORE INSERT ON ledger FOR EACH ROW
	WHEN (NEW.kind = 'REFUND')
	EXECUTE FUNCTION ledger_refund_needs_charge();
