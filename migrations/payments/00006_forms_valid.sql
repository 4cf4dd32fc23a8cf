-- +goose Up

-- The rows of before 00005 are read, beside everybody who reads and writes them.
ALTER TABLE payments
	VALIDATE CONSTRAINT payments_customer_id_form,
	VALIDATE CONSTRAINT payments_currency_form;
ALTER TABLE ledger VALIDATE CONSTRAINT ledger_currency_form;

-- +goose Down
