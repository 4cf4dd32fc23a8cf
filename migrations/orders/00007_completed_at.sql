-- +goose Up

-- COMPLETED is remembered: an order that was paid once and is given up can only be REFUNDED, whatever the payment
-- service says that it knows of it. The trigger writes the mark, so that programs of earlier releases leave it as well.
-- It is written when the order leaves COMPLETED, so that an order which goes well costs nothing more; no index names
-- it, so that updates stay HOT.
ALTER TABLE orders ADD COLUMN completed_at timestamptz;

COMMENT ON COLUMN orders.completed_at IS
	'When an order that is CANCELLING or CANCELLED was COMPLETED before; NULL: never, or before this column was there';

-- +goose StatementBegin
CREATE FUNCTION orders_remember() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	NEW.completed_at := OLD.updated_at;
	RETURN NEW;
END
$$;
-- +goose StatementEnd

-- Triggers fire in the order of their names: this one after those that refuse, which see what the UPDATE said.
CREATE TRIGGER orders_remember_completed BEFORE UPDATE ON orders FOR EACH ROW
	WHEN (OLD.status = 'COMPLETED' AND NEW.status <> 'COMPLETED')
	EXECUTE FUNCTION orders_remember();

CREATE OR REPLACE TRIGGER orders_facts_fixed BEFORE UPDATE ON orders FOR EACH ROW
	WHEN (OLD.status = NEW.status AND OLD.cancel_reason IS DISTINCT FROM NEW.cancel_reason
		OR (OLD.id, OLD.customer_id, OLD.amount_minor, OLD.currency, OLD.created_at, OLD.deadline_at)
			IS DISTINCT FROM (NEW.id, NEW.customer_id, NEW.amount_minor, NEW.currency, NEW.created_at, NEW.deadline_at)
		OR (OLD.request_id, OLD.request_hash) IS DISTINCT FROM (NEW.request_id, NEW.request_hash)
		OR OLD.items IS DISTINCT FROM NEW.items
		OR OLD.completed_at IS DISTINCT FROM NEW.completed_at)
	EXECUTE FUNCTION orders_refuse();

CREATE TRIGGER orders_born_unpaid BEFORE INSERT ON orders FOR EACH ROW
	WHEN (NEW.completed_at IS NOT NULL)
	EXECUTE FUNCTION orders_refuse();

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION orders_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION USING
		ERRCODE = 'check_violation',
		CONSTRAINT = TG_NAME,
		TABLE = TG_TABLE_NAME,
		MESSAGE = CASE TG_NAME
			WHEN 'orders_born_pending' THEN format('order %s may not be born %s', NEW.id, NEW.status)
			WHEN 'orders_born_unpaid' THEN format('order %s may not be born with completed_at', NEW.id)
			WHEN 'orders_legal_transition' THEN format('order %s may not go from %s to %s', OLD.id, OLD.status, NEW.status)
			ELSE format('order %s: only status, cancel_reason and updated_at may change', OLD.id)
		END;
END
$$;
-- +goose StatementEnd

-- +goose Down
DROP TRIGGER orders_born_unpaid ON orders;
DROP TRIGGER orders_remember_completed ON orders;
DROP FUNCTION orders_remember;

CREATE OR REPLACE TRIGGER orders_facts_fixed BEFORE UPDATE ON orders FOR EACH ROW
	WHEN (OLD.status = NEW.status AND OLD.cancel_reason IS DISTINCT FROM NEW.cancel_reason
		OR (OLD.id, OLD.customer_id, OLD.amount_minor, OLD.currency, OLD.created_at, OLD.deadline_at)
			IS DISTINCT FROM (NEW.id, NEW.customer_id, NEW.amount_minor, NEW.currency, NEW.created_at, NEW.deadline_at)
		OR (OLD.request_id, OLD.request_hash) IS DISTINCT FROM (NEW.request_id, NEW.request_hash)
		OR OLD.items IS DISTINCT FROM NEW.items)
	EXECUTE FUNCTION orders_refuse();

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION orders_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
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

ALTER TABLE orders DROP COLUMN completed_at;
