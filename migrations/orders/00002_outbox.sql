-- +goose Up

-- Commands that must reach paymentd. A row is written in the transaction that makes it necessary and leaves in the
-- transaction that applies its outcome; in between, relays claim it for the length of a lease and deliver it.
-- internal/outbox tells the life of a row.
CREATE TABLE outbox (
	id          bigint      GENERATED ALWAYS AS IDENTITY,
	key         uuid        NOT NULL,
	kind        text        NOT NULL,
	payload     bytea       NOT NULL,
	expires_at  timestamptz,
	traceparent text,
	attempts    integer     NOT NULL DEFAULT 0,
	claims      integer     NOT NULL DEFAULT 0,
	answers     integer     NOT NULL DEFAULT 0,
	ready_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
	lease_token uuid,
	parked_at   timestamptz,
	last_code   text,
	created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),

	CONSTRAINT outbox_pkey PRIMARY KEY (id),
	CONSTRAINT outbox_one_of_a_kind UNIQUE (key, kind),
	CONSTRAINT outbox_kind_form CHECK (kind ~ '^[A-Z]{1,32}$'),
	CONSTRAINT outbox_counts CHECK (attempts >= 0 AND answers >= 0 AND claims >= answers),
	CONSTRAINT outbox_parked_unleased CHECK (parked_at IS NULL OR lease_token IS NULL)
) WITH (
	fillfactor = 70,
	-- A queue's dead rows are in the way of every claim: vacuum by count, not by share.
	autovacuum_vacuum_scale_factor = 0,
	autovacuum_vacuum_threshold = 5000,
	autovacuum_vacuum_insert_scale_factor = 0,
	autovacuum_vacuum_insert_threshold = 50000
);

-- What may be claimed next.
CREATE INDEX outbox_ready ON outbox (ready_at) WHERE parked_at IS NULL;
-- What must be delivered alone: it was claimed three times more often than it was answered.
CREATE INDEX outbox_suspect ON outbox (ready_at) WHERE parked_at IS NULL AND claims - answers >= 3;
-- What is too late.
CREATE INDEX outbox_expiring ON outbox (expires_at) WHERE expires_at IS NOT NULL;

COMMENT ON TABLE outbox IS 'Commands on their way to paymentd; a settled order has none';
COMMENT ON COLUMN outbox.key IS 'The order''s id';
COMMENT ON COLUMN outbox.kind IS 'CHARGE or VOID';
COMMENT ON COLUMN outbox.payload IS 'The protobuf request, as payment.v1 defines it';
COMMENT ON COLUMN outbox.expires_at IS 'From then on the command is not sent any more, but given up; NULL: never';
COMMENT ON COLUMN outbox.traceparent IS 'W3C trace context of the request that wrote the row';
COMMENT ON COLUMN outbox.attempts IS 'Deliveries answered ambiguously, counted against the budget';
COMMENT ON COLUMN outbox.claims IS 'How often a relay took the row';
COMMENT ON COLUMN outbox.answers IS 'How many of the claims came to an answer; the others ended with a relay''s death, a broken stream or a timeout';
COMMENT ON COLUMN outbox.ready_at IS 'From then on the row may be claimed; a claim moves it to the end of its lease';
COMMENT ON COLUMN outbox.lease_token IS 'Names the latest claim; whoever does not know it may not reschedule, park or release the row';
COMMENT ON COLUMN outbox.parked_at IS 'Since then the row waits for a person; NULL: it does not';
COMMENT ON COLUMN outbox.last_code IS 'What the last delivery came to: a reason or a gRPC code';

-- +goose Down
DROP TABLE outbox;
