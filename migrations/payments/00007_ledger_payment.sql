-- +goose Up

-- Every entry of the ledger has its payment, which was a foreign key's work: it looked for the payment of each row with
-- a query of its own, and locked it, which was a fifth of what a charge costs the server. A payment that cannot go need
-- not be locked. So a trigger looks for those of all rows of a statement at once, and another one keeps all payments,
-- also those without an entry: a late charge must find its key taken. That keys do not change is payments_facts_fixed,
-- and that entries do not change is ledger_append_only.
--
-- In this order, as whoever decides takes the locks.
LOCK TABLE payments, ledger;

ALTER TABLE ledger DROP CONSTRAINT ledger_payment;

-- +goose StatementBegin
CREATE FUNCTION payments_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION 'payments are never deleted: % refused', TG_OP
		USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER payments_kept BEFORE DELETE OR TRUNCATE ON payments
	FOR EACH STATEMENT EXECUTE FUNCTION payments_kept();

-- OFFSET 0 has each payment looked up by its key: no plan joins the rows with all payments.
-- +goose StatementBegin
CREATE FUNCTION ledger_payment() RETURNS trigger LANGUAGE plpgsql AS $$
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

CREATE TRIGGER ledger_payment AFTER INSERT ON ledger REFERENCING NEW TABLE AS added
	FOR EACH STATEMENT EXECUTE FUNCTION ledger_payment();

-- +goose Down
LOCK TABLE payments, ledger;
DROP TRIGGER payments_kept ON payments;
DROP TRIGGER ledger_payment ON ledger;
DROP FUNCTION payments_kept, ledger_payment;
ALTER TABLE ledger ADD CONSTRAINT ledger_payment FOREIGN KEY (payment_id) REFERENCES payments (id);
