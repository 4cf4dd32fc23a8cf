-- +goose Up

-- How the deliveries of an order's commands went. A relay adds rows in the transaction that applies what became of the
-- deliveries. A first delivery that was decided is implied and has no row, so that an order that goes well costs none.
CREATE TABLE attempts (
	order_id   uuid        NOT NULL,
	command_id bigint      NOT NULL,
	claim      integer     NOT NULL,
	code       text        NOT NULL,
	kind       text        NOT NULL,
	at         timestamptz NOT NULL DEFAULT clock_timestamp(),
	relay      text        NOT NULL,
	rpc        text,
	means      text        NOT NULL,
	latency    interval    NOT NULL,
	trace_id   text,
	retry_in   interval,

	-- A claim comes to one code. What is settled twice, or by a worker that is too late, is the same row.
	CONSTRAINT attempts_pkey PRIMARY KEY (order_id, command_id, claim, code),
	CONSTRAINT attempts_claim_counts CHECK (claim >= 0),
	CONSTRAINT attempts_kind_known CHECK (kind IN ('CHARGE', 'VOID')),
	CONSTRAINT attempts_rpc_known CHECK (rpc IN ('ProcessPayments', 'ChargePayment', 'VoidPayment')),
	CONSTRAINT attempts_means_known CHECK (means IN ('DECIDED', 'AMBIGUOUS', 'BLOCKED', 'REFUSED', 'CONFLICT', 'EXPIRED', 'UNREADABLE')),
	CONSTRAINT attempts_trace_id_form CHECK (trace_id ~ '^[0-9a-f]{32}$'),
	CONSTRAINT attempts_times_run_forward CHECK (latency >= interval '0' AND retry_in >= interval '0')
);

COMMENT ON TABLE attempts IS 'Append-only; a first delivery that was decided has no row';
COMMENT ON COLUMN attempts.order_id IS 'No foreign key: whoever writes here has the order locked, and an outage writes many rows';
COMMENT ON COLUMN attempts.command_id IS 'The command''s row in the outbox, which may be gone';
COMMENT ON COLUMN attempts.claim IS 'Which of the command''s claims it was; one that was given up at its deadline may have had none';
COMMENT ON COLUMN attempts.code IS 'What it came to: a reason or a gRPC code';
COMMENT ON COLUMN attempts.at IS 'When it was written down, which is right after it ended unless the database was away';
COMMENT ON COLUMN attempts.relay IS 'The relay that made it: host:pid';
COMMENT ON COLUMN attempts.rpc IS 'The method of payment.v1.PaymentService; NULL: nothing was sent';
COMMENT ON COLUMN attempts.means IS 'What the relay took the code for';
COMMENT ON COLUMN attempts.latency IS 'From sending to the answer, or to giving it up';
COMMENT ON COLUMN attempts.trace_id IS 'Of the request that wrote the command; NULL: it had none';
COMMENT ON COLUMN attempts.retry_in IS 'The wait before the next attempt; NULL: none was to follow';

-- +goose Down
DROP TABLE attempts;
