-- +goose Up

-- An operator who has a command tried again is written down like one who settles an order. Only one with a SETTLE row is
-- exempt from the rule that a CANCELLED order's payment is DECLINED, VOIDED or REFUNDED. A relay of before goes on as it
-- did.
ALTER TABLE audit
	DROP CONSTRAINT audit_once,
	DROP CONSTRAINT audit_order,
	DROP CONSTRAINT audit_action_known,
	ADD COLUMN kind text,
	ADD CONSTRAINT audit_action_known CHECK (action IN ('SETTLE', 'RETRY')),
	ADD CONSTRAINT audit_kind_known CHECK (kind IN ('CHARGE', 'VOID')),
	ADD CONSTRAINT audit_kind_of_retries CHECK ((action = 'RETRY') = (kind IS NOT NULL));

CREATE UNIQUE INDEX audit_once ON audit (order_id) WHERE action = 'SETTLE';
CREATE INDEX audit_retries ON audit (order_id, id) WHERE action = 'RETRY';

COMMENT ON COLUMN audit.order_id IS 'No foreign key: it would lock the order after its command, and a command may have none';
COMMENT ON COLUMN audit.action IS 'SETTLE: the order was cancelled without the payment service''s word; RETRY: a command was made due';
COMMENT ON COLUMN audit.kind IS 'Of the command that was made due';

-- +goose Down
DELETE FROM audit WHERE action = 'RETRY';
DROP INDEX audit_once, audit_retries;
ALTER TABLE audit
	DROP COLUMN kind,
	DROP CONSTRAINT audit_action_known,
	ADD CONSTRAINT audit_action_known CHECK (action IN ('SETTLE')),
	ADD CONSTRAINT audit_once UNIQUE (order_id, action),
	ADD CONSTRAINT audit_order FOREIGN KEY (order_id) REFERENCES orders (id);
