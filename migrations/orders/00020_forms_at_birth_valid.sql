-- +goose Up

-- The rows of before 00019 are read, beside everybody who reads and writes them. This is a transaction of its own: that
-- of 00019 would have kept its lock for as long as it takes.
ALTER TABLE orders
	VALIDATE CONSTRAINT orders_customer_id_form,
	VALIDATE CONSTRAINT orders_request_id_form,
	VALIDATE CONSTRAINT orders_currency_form,
	VALIDATE CONSTRAINT orders_items_list;

-- +goose Down
