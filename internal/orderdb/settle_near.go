package orderdb

// nearAtLeast is for how many orders that lie near each other settlingNear takes less than settlingPaid.
const nearAtLeast = 50

// settlingNear is settlingPaid for orders that were placed together. It settles all of them or none: where one is
// locked by somebody, or is not what was told, nothing happens.
//
// It reads the orders three times from the first ($6) to the last ($7) and picks those that are told, where
// settlingPaid looks each up three times. It locks them by id, which is the order of the index, before it changes any,
// and the outbox after them, as everybody does. The compare-and-set is the UPDATE's, and its count decides whether the
// commands leave.
//
// IS TRUE keeps IN from becoming a join. So it is a table by hash, whatever the statistics say. Where a row has been
// changed meanwhile, PostgreSQL makes the table anew to look again: so there is nothing in it but parameters, and what
// has been found out before stands beside it as a number.
var settlingNear = `
	WITH locked AS MATERIALIZED (
		SELECT count(*) = cardinality($1::uuid[]) AS everyone
		FROM (
			SELECT
			FROM orders AS o
			WHERE o.id BETWEEN $6 AND $7
				AND o.status = 'PENDING'
				AND ((o.id, o.customer_id, o.amount_minor, o.currency) IN (
					SELECT unnest($1::uuid[]), unnest($2::text[]), unnest($3::bigint[]), unnest($4::text[])
				)) IS TRUE
			ORDER BY o.id
			FOR UPDATE SKIP LOCKED
		) AS o
	), settled AS (
		UPDATE orders
		SET status = 'COMPLETED', updated_at = clock_timestamp()
		WHERE id BETWEEN $6 AND $7 AND (id IN (SELECT unnest($1::uuid[]))) IS TRUE
			AND status = 'PENDING'
			AND (SELECT everyone FROM locked)
		RETURNING id, ` + sinceAccepted + ` AS took
	), gone AS (
		` + Outbox.RemovalBetween(`$6`, `$7`, `$1`) + `
			AND (SELECT count(*) FROM settled) = cardinality($1::uuid[])
	)` + tellingSettled
