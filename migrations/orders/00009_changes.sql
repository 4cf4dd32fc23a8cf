-- +goose Up

-- How the orders that do not go well came to where they are. A row is added in the transaction of the compare-and-set
-- that it tells of. An order that is placed, and one that is COMPLETED, have none: created_at, updated_at and
-- completed_at say when that was, and only one event leads there. Programs of before this table add none at all.
CREATE TABLE changes (
	order_id    uuid        NOT NULL,
	id          bigint      GENERATED ALWAYS AS IDENTITY,
	from_status text        NOT NULL,
	to_status   text        NOT NULL,
	at          timestamptz NOT NULL,
	cause       text        NOT NULL,
	who         text        NOT NULL,
	trace_id    text,

	CONSTRAINT changes_pkey PRIMARY KEY (order_id, id),
	CONSTRAINT changes_statuses_known CHECK (
		from_status IN ('PENDING', 'COMPLETED', 'CANCELLING') AND to_status IN ('COMPLETED', 'CANCELLING', 'CANCELLED')),
	CONSTRAINT changes_cause_given CHECK (length(cause) BETWEEN 1 AND 100),
	CONSTRAINT changes_trace_id_form CHECK (trace_id ~ '^[0-9a-f]{32}$')
);

COMMENT ON TABLE changes IS 'Append-only; an order that goes well has no row';
COMMENT ON COLUMN changes.order_id IS 'No foreign key: whoever writes here has the order locked';
COMMENT ON COLUMN changes.id IS 'A later change has a greater one, whatever the clock says';
COMMENT ON COLUMN changes.at IS 'The order''s updated_at, which a later change overwrites';
COMMENT ON COLUMN changes.cause IS 'The event, in the words of internal/order';
COMMENT ON COLUMN changes.who IS 'orderd when the customer cancelled; an operator''s name when he settled it; else the relay, host:pid';
COMMENT ON COLUMN changes.trace_id IS 'Of the request that caused it; NULL: it had none';

-- +goose Down
DROP TABLE changes;
