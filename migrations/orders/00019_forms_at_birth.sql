-- +goose Up

-- What a client said is looked at when its order is placed, and not once more when its status changes. PostgreSQL
-- evaluates every CHECK for each new version of a row, whatever changed: three regular expressions and the shape of
-- items were 2 of the 12 us that it spends on settling an order in a batch.
--
-- No order is without these forms all the same: it is born PENDING (orders_born_pending), when they are checked, and
-- none of these columns ever changes (orders_facts_fixed). orders_amount_range, which costs nothing, is checked always.
--
-- NOT VALID: the rows that are there have passed more than this. 00020 has them read again, beside everybody.
ALTER TABLE orders
	DROP CONSTRAINT orders_customer_id_form,
	DROP CONSTRAINT orders_request_id_form,
	DROP CONSTRAINT orders_currency_form,
	DROP CONSTRAINT orders_items_list,
	ADD CONSTRAINT orders_customer_id_form CHECK (
		status <> 'PENDING' OR length(customer_id) BETWEEN 1 AND 64 AND customer_id !~ '[^A-Za-z0-9._:-]') NOT VALID,
	ADD CONSTRAINT orders_request_id_form CHECK (
		status <> 'PENDING' OR length(request_id) BETWEEN 1 AND 64 AND request_id !~ '[^A-Za-z0-9._:-]') NOT VALID,
	ADD CONSTRAINT orders_currency_form CHECK (
		status <> 'PENDING' OR length(currency) = 3 AND currency !~ '[^A-Z]') NOT VALID,
	ADD CONSTRAINT orders_items_list CHECK (
		status <> 'PENDING' OR jsonb_typeof(items) = 'array' AND jsonb_array_length(items) BETWEEN 1 AND 100) NOT VALID;

-- +goose Down
ALTER TABLE orders
	DROP CONSTRAINT orders_customer_id_form,
	DROP CONSTRAINT orders_request_id_form,
	DROP CONSTRAINT orders_currency_form,
	DROP CONSTRAINT orders_items_list,
	ADD CONSTRAINT orders_customer_id_form
		CHECK (length(customer_id) BETWEEN 1 AND 64 AND customer_id !~ '[^A-Za-z0-9._:-]'),
	ADD CONSTRAINT orders_request_id_form
		CHECK (length(request_id) BETWEEN 1 AND 64 AND request_id !~ '[^A-Za-z0-9._:-]'),
	ADD CONSTRAINT orders_currency_form
		CHECK (length(currency) = 3 AND currency !~ '[^A-Z]'),
	ADD CONSTRAINT orders_items_list
		CHECK (jsonb_typeof(items) = 'array' AND jsonb_array_length(items) BETWEEN 1 AND 100);
