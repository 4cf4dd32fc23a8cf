-- +goose Up

-- An order is settled by an UPDATE of its status, and nearly every order is. That cannot change what was ordered: no
-- trigger does but orders_remember_completed, which writes completed_at. So the eleven columns are compared only by an
-- UPDATE that names one of them, as one that is to change it must. That is 1 of the 12 us that PostgreSQL spends on
-- settling an order in a batch.
--
-- A column that orders is given belongs into the list, unless it may change.
CREATE OR REPLACE TRIGGER orders_facts_fixed
	BEFORE UPDATE OF id, customer_id, request_id, request_hash, items, amount_minor, currency, cancel_reason, created_at,
		deadline_at, completed_at ON orders FOR EACH ROW
	WHEN (OLD.status = NEW.status AND OLD.cancel_reason IS DISTINCT FROM NEW.cancel_reason
		OR (OLD.id, OLD.customer_id, OLD.amount_minor, OLD.currency, OLD.created_at, OLD.deadline_at)
			IS DISTINCT FROM (NEW.id, NEW.customer_id, NEW.amount_minor, NEW.currency, NEW.created_at, NEW.deadline_at)
		OR (OLD.request_id, OLD.request_hash) IS DISTINCT FROM (NEW.request_id, NEW.request_hash)
		OR OLD.items IS DISTINCT FROM NEW.items
		OR OLD.completed_at IS DISTINCT FROM NEW.completed_at)
	EXECUTE FUNCTION orders_refuse();

-- +goose Down
CREATE OR REPLACE TRIGGER orders_facts_fixed BEFORE UPDATE ON orders FOR EACH ROW
	WHEN (OLD.status = NEW.status AND OLD.cancel_reason IS DISTINCT FROM NEW.cancel_reason
		OR (OLD.id, OLD.customer_id, OLD.amount_minor, OLD.currency, OLD.created_at, OLD.deadline_at)
			IS DISTINCT FROM (NEW.id, NEW.customer_id, NEW.amount_minor, NEW.currency, NEW.created_at, NEW.deadline_at)
		OR (OLD.request_id, OLD.request_hash) IS DISTINCT FROM (NEW.request_id, NEW.request_hash)
		OR OLD.items IS DISTINCT FROM NEW.items
		OR OLD.completed_at IS DISTINCT FROM NEW.completed_at)
	EXECUTE FUNCTION orders_refuse();
