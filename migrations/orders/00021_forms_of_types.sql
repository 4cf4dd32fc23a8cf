-- +goose Up

-- What one column of an order may hold is said by its type: a domain. A CHECK of a table is read anew by every
-- statement, from a text in which each byte of a constant is a word, and evaluated for each new version of a row,
-- whatever changed. A domain's is read once a session, and evaluated where the column is written. Of the 520 us that a
-- lone order's statement costs the server that is 50, and with the condition below 60 of the 350 of settling it.
--
-- CHECKs remain for what several columns say together; for items, since programs of before send them as a parameter
-- that takes on the column's type, and know JSON by no other name; and for the outbox's kind, whose partial indexes
-- would be built anew.
--
-- Names and SQLSTATE of what is refused stay. The values are those of before, to the byte: neither the table nor an
-- index is written anew, and parameters, results and indexes are of text as ever. The forms need not look at the status
-- any more: settling an order does not write these columns.
--
-- NOT VALID: the rows that are there have passed the same CHECKs until this very moment. See 00022.
DROP TRIGGER orders_born_pending ON orders;
DROP TRIGGER orders_legal_transition ON orders;
DROP TRIGGER orders_remember_completed ON orders;
DROP TRIGGER orders_facts_fixed ON orders;

ALTER TABLE orders
	DROP CONSTRAINT orders_customer_id_form,
	DROP CONSTRAINT orders_request_id_form,
	DROP CONSTRAINT orders_request_with_hash,
	DROP CONSTRAINT orders_items_list,
	DROP CONSTRAINT orders_amount_range,
	DROP CONSTRAINT orders_currency_form,
	DROP CONSTRAINT orders_status_known,
	DROP CONSTRAINT orders_cancel_reason_known,
	DROP CONSTRAINT orders_cancelled_for_a_reason;

-- A column that takes a domain without CHECKs is not read.
CREATE DOMAIN orders_customer_id AS text;
CREATE DOMAIN orders_request_id AS text;
CREATE DOMAIN orders_amount AS bigint;
CREATE DOMAIN orders_currency AS text;
CREATE DOMAIN orders_status AS text;
CREATE DOMAIN orders_cancel_reason AS text;

ALTER TABLE orders
	ALTER COLUMN customer_id TYPE orders_customer_id,
	ALTER COLUMN request_id TYPE orders_request_id,
	ALTER COLUMN amount_minor TYPE orders_amount,
	ALTER COLUMN currency TYPE orders_currency,
	ALTER COLUMN status TYPE orders_status,
	ALTER COLUMN cancel_reason TYPE orders_cancel_reason;

ALTER DOMAIN orders_customer_id ADD CONSTRAINT orders_customer_id_form
	CHECK (length(VALUE) BETWEEN 1 AND 64 AND VALUE !~ '[^A-Za-z0-9._:-]') NOT VALID;
ALTER DOMAIN orders_request_id ADD CONSTRAINT orders_request_id_form
	CHECK (length(VALUE) BETWEEN 1 AND 64 AND VALUE !~ '[^A-Za-z0-9._:-]') NOT VALID;
ALTER DOMAIN orders_amount ADD CONSTRAINT orders_amount_range
	CHECK (VALUE BETWEEN 1 AND 99999999999) NOT VALID;
ALTER DOMAIN orders_currency ADD CONSTRAINT orders_currency_form
	CHECK (length(VALUE) = 3 AND VALUE !~ '[^A-Z]') NOT VALID;
ALTER DOMAIN orders_status ADD CONSTRAINT orders_status_known
	CHECK (VALUE IN ('PENDING', 'COMPLETED', 'CANCELLING', 'CANCELLED')) NOT VALID;
ALTER DOMAIN orders_cancel_reason ADD CONSTRAINT orders_cancel_reason_known
	CHECK (VALUE IN ('PAYMENT_DECLINED', 'PAYMENT_FAILED', 'CUSTOMER', 'DEADLINE', 'OPERATOR')) NOT VALID;

ALTER TABLE orders
	ADD CONSTRAINT orders_request_with_hash CHECK ((request_id IS NULL) = (request_hash IS NULL)) NOT VALID,
	ADD CONSTRAINT orders_items_list CHECK (
		status <> 'PENDING' OR jsonb_typeof(items) = 'array' AND jsonb_array_length(items) BETWEEN 1 AND 100) NOT VALID,
	ADD CONSTRAINT orders_cancelled_for_a_reason CHECK (
		(status IN ('CANCELLING', 'CANCELLED')) = (cancel_reason IS NOT NULL)) NOT VALID;

CREATE TRIGGER orders_born_pending BEFORE INSERT ON orders FOR EACH ROW
	WHEN (NEW.status <> 'PENDING')
	EXECUTE FUNCTION orders_refuse();

-- The statuses follow each other backwards in the alphabet: PENDING, COMPLETED, CANCELLING, CANCELLED. No order goes
-- forwards in it, and none from COMPLETED to CANCELLED at once. All five steps that are legal, written down, are four
-- times as much to read for every statement.
CREATE TRIGGER orders_legal_transition BEFORE UPDATE ON orders FOR EACH ROW
	WHEN (NEW.status > OLD.status COLLATE "C" OR OLD.status = 'COMPLETED' AND NEW.status = 'CANCELLED')
	EXECUTE FUNCTION orders_refuse();

CREATE TRIGGER orders_remember_completed BEFORE UPDATE ON orders FOR EACH ROW
	WHEN (OLD.status = 'COMPLETED' AND NEW.status <> 'COMPLETED')
	EXECUTE FUNCTION orders_remember();

CREATE TRIGGER orders_facts_fixed
	BEFORE UPDATE OF id, customer_id, request_id, request_hash, items, amount_minor, currency, cancel_reason,
		created_at, deadline_at, completed_at ON orders FOR EACH ROW
	WHEN (OLD.status = NEW.status AND OLD.cancel_reason IS DISTINCT FROM NEW.cancel_reason
		OR (OLD.id, OLD.customer_id, OLD.amount_minor, OLD.currency, OLD.created_at, OLD.deadline_at)
			IS DISTINCT FROM (NEW.id, NEW.customer_id, NEW.amount_minor, NEW.currency, NEW.created_at, NEW.deadline_at)
		OR (OLD.request_id, OLD.request_hash) IS DISTINCT FROM (NEW.request_id, NEW.request_hash)
		OR OLD.items IS DISTINCT FROM NEW.items
		OR OLD.completed_at IS DISTINCT FROM NEW.completed_at)
	EXECUTE FUNCTION orders_refuse();

-- +goose Down
DROP TRIGGER orders_born_pending ON orders;
DROP TRIGGER orders_legal_transition ON orders;
DROP TRIGGER orders_remember_completed ON orders;
DROP TRIGGER orders_facts_fixed ON orders;

ALTER TABLE orders
	ALTER COLUMN customer_id TYPE text,
	ALTER COLUMN request_id TYPE text,
	ALTER COLUMN amount_minor TYPE bigint,
	ALTER COLUMN currency TYPE text,
	ALTER COLUMN status TYPE text,
	ALTER COLUMN cancel_reason TYPE text;

DROP DOMAIN orders_customer_id, orders_request_id, orders_amount, orders_currency, orders_status, orders_cancel_reason;

ALTER TABLE orders
	ADD CONSTRAINT orders_customer_id_form CHECK (
		status <> 'PENDING' OR length(customer_id) BETWEEN 1 AND 64 AND customer_id !~ '[^A-Za-z0-9._:-]'),
	ADD CONSTRAINT orders_request_id_form CHECK (
		status <> 'PENDING' OR length(request_id) BETWEEN 1 AND 64 AND request_id !~ '[^A-Za-z0-9._:-]'),
	ADD CONSTRAINT orders_amount_range CHECK (amount_minor BETWEEN 1 AND 99999999999),
	ADD CONSTRAINT orders_currency_form CHECK (
		status <> 'PENDING' OR length(currency) = 3 AND currency !~ '[^A-Z]'),
	ADD CONSTRAINT orders_status_known CHECK (status IN ('PENDING', 'COMPLETED', 'CANCELLING', 'CANCELLED')),
	ADD CONSTRAINT orders_cancel_reason_known CHECK (
		cancel_reason IN ('PAYMENT_DECLINED', 'PAYMENT_FAILED', 'CUSTOMER', 'DEADLINE', 'OPERATOR'));

CREATE TRIGGER orders_born_pending BEFORE INSERT ON orders FOR EACH ROW
	WHEN (NEW.status <> 'PENDING')
	EXECUTE FUNCTION orders_refuse();

CREATE TRIGGER orders_legal_transition BEFORE UPDATE ON orders FOR EACH ROW
	WHEN (OLD.status <> NEW.status AND NOT (
		   (OLD.status = 'PENDING'    AND NEW.status IN ('COMPLETED', 'CANCELLING', 'CANCELLED'))
		OR (OLD.status = 'COMPLETED'  AND NEW.status = 'CANCELLING')
		OR (OLD.status = 'CANCELLING' AND NEW.status = 'CANCELLED')))
	EXECUTE FUNCTION orders_refuse();

CREATE TRIGGER orders_remember_completed BEFORE UPDATE ON orders FOR EACH ROW
	WHEN (OLD.status = 'COMPLETED' AND NEW.status <> 'COMPLETED')
	EXECUTE FUNCTION orders_remember();

CREATE TRIGGER orders_facts_fixed
	BEFORE UPDATE OF id, customer_id, request_id, request_hash, items, amount_minor, currency, cancel_reason,
		created_at, deadline_at, completed_at ON orders FOR EACH ROW
	WHEN (OLD.status = NEW.status AND OLD.cancel_reason IS DISTINCT FROM NEW.cancel_reason
		OR (OLD.id, OLD.customer_id, OLD.amount_minor, OLD.currency, OLD.created_at, OLD.deadline_at)
			IS DISTINCT FROM (NEW.id, NEW.customer_id, NEW.amount_minor, NEW.currency, NEW.created_at, NEW.deadline_at)
		OR (OLD.request_id, OLD.request_hash) IS DISTINCT FROM (NEW.request_id, NEW.request_hash)
		OR OLD.items IS DISTINCT FROM NEW.items
		OR OLD.completed_at IS DISTINCT FROM NEW.completed_at)
	EXECUTE FUNCTION orders_refuse();
