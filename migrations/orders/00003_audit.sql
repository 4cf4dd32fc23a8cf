-- +goose Up

-- What operators decided by hand. An order with a row here is exempt from the rule that a CANCELLED order's payment is
-- DECLINED, VOIDED or REFUNDED, because its key belongs to somebody else's payment.
CREATE TABLE audit (
	id       bigint      GENERATED ALWAYS AS IDENTITY,
	order_id uuid        NOT NULL,
	action   text        NOT NULL,
	operator text        NOT NULL,
	reason   text        NOT NULL,
	at       timestamptz NOT NULL DEFAULT clock_timestamp(),

	CONSTRAINT audit_pkey PRIMARY KEY (id),
	CONSTRAINT audit_once UNIQUE (order_id, action),
	CONSTRAINT audit_order FOREIGN KEY (order_id) REFERENCES orders (id),
	CONSTRAINT audit_action_known CHECK (action IN ('SETTLE')),
	CONSTRAINT audit_operator_form CHECK (operator ~ '^[A-Za-z0-9._:@-]{1,64}$'),
	CONSTRAINT audit_reason_given CHECK (length(reason) BETWEEN 1 AND 500)
);

COMMENT ON TABLE audit IS 'Decisions made by hand; never changed, never deleted';
COMMENT ON COLUMN audit.action IS 'SETTLE: the order was cancelled without the payment service''s word';

-- +goose Down
DROP TABLE audit;
