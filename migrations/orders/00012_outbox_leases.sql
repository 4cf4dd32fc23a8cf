-- +goose Up

-- A claim is the one change that most commands see, and is to be cheap: it changes no column that an index, or the
-- predicate of one, names. Then the new version of the row stays on its page (a HOT update), and no index hears of it.
-- So the end of a lease has a column of its own beside ready_at, and what the counts say about a command, that it must be
-- delivered alone, is a column whose value changes only when it becomes so.
--
-- A relay of before knows neither: it moves ready_at, which those of today honour, and may take a row that one of today
-- holds, as it may after any lease. The token still fences what is not decided by the order's own row.

-- Room for the version that a claim writes, of every row of a page.
ALTER TABLE outbox SET (fillfactor = 45);

-- The generated column rewrites the table.
ALTER TABLE outbox
	ADD COLUMN leased_until timestamptz,
	ADD COLUMN suspect boolean GENERATED ALWAYS AS (claims - answers >= 3) STORED;

-- Which commands must be delivered alone.
CREATE INDEX outbox_suspects ON outbox (kind, ready_at) WHERE parked_at IS NULL AND suspect;
-- Those that wait for a person, some of which are too late. There are few.
CREATE INDEX outbox_parked ON outbox (kind, id) WHERE parked_at IS NOT NULL;
DROP INDEX outbox_suspect_of_kind;
-- Each row had an entry here, which nobody needed but the few sweeps of an outage.
DROP INDEX outbox_expiring;

-- Whoever may move ready_at and take a lease may write down its end, and whoever may read of leases may read these.
-- +goose StatementBegin
DO $$
DECLARE
	may record;
BEGIN
	FOR may IN
		SELECT a.grantee, a.privilege_type
		FROM pg_attribute AS c, aclexplode(c.attacl) AS a
		WHERE c.attrelid = 'outbox'::regclass AND c.attname = 'lease_token' AND a.privilege_type IN ('SELECT', 'UPDATE')
	LOOP
		EXECUTE format('GRANT %s (leased_until) ON outbox TO %s', may.privilege_type,
			CASE WHEN may.grantee = 0 THEN 'PUBLIC' ELSE may.grantee::regrole::text END);
		IF may.privilege_type = 'SELECT' THEN
			EXECUTE format('GRANT SELECT (suspect) ON outbox TO %s',
				CASE WHEN may.grantee = 0 THEN 'PUBLIC' ELSE may.grantee::regrole::text END);
		END IF;
	END LOOP;
END
$$;
-- +goose StatementEnd

COMMENT ON COLUMN outbox.ready_at IS 'From then on the row may be claimed, unless somebody holds it';
COMMENT ON COLUMN outbox.leased_until IS 'The end of the lease that lease_token names; without a token it says nothing';
COMMENT ON COLUMN outbox.suspect IS 'It was claimed three times more often than it was answered: it is delivered alone';

-- +goose Down
UPDATE outbox SET ready_at = greatest(ready_at, leased_until) WHERE lease_token IS NOT NULL;
CREATE INDEX outbox_suspect_of_kind ON outbox (kind, ready_at) WHERE parked_at IS NULL AND claims - answers >= 3;
CREATE INDEX outbox_expiring ON outbox (expires_at) WHERE expires_at IS NOT NULL;
DROP INDEX outbox_suspects, outbox_parked;
ALTER TABLE outbox DROP COLUMN leased_until, DROP COLUMN suspect;
ALTER TABLE outbox SET (fillfactor = 70);
COMMENT ON COLUMN outbox.ready_at IS 'From then on the row may be claimed; a claim moves it to the end of its lease';
