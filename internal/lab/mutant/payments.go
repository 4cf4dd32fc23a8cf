package mutant

import "hosho/internal/rules"

// The mistakes of the payment service.

var noTombstone = Mutant{
	Name: "no-tombstone", Rule: 3,
	Breaks: "a void of an unknown key writes nothing and answers VOIDED",
	Needs:  "orders that are given up before they are charged: the amount 9999",
	Faults: []string{"hold"},
	Oracle: []rules.ID{rules.I3, rules.I16, rules.I7},
	Edits: []Edit{
		{
			File: "internal/paymentdb/void.go",
			Old:  `INSERT INTO payments (id, customer_id, amount_minor, currency, status)`,
			New:  `SELECT id FROM (`,
		},
		{
			File: "internal/paymentdb/void.go",
			Old:  "ON CONFLICT (id) DO NOTHING\n\t\t\tRETURNING id",
			New:  ") AS asked WHERE NOT EXISTS (SELECT FROM payments WHERE payments.id = asked.id)",
		},
	},
}

var unstickyDecline = Mutant{
	Name: "unsticky-decline", Rule: 4,
	Breaks: "a charge is answered DECLINED, and nothing is stored",
	Needs:  "charges that the card network declines: an amount with the effect decline",
	Faults: []string{"duplicate"},
	Oracle: []rules.ID{rules.I3, rules.I16, rules.I7},
	Edits: []Edit{
		{
			File: "internal/paymentdb/charge.go",
			Old:  "FROM judged\n\t\t\tORDER BY id",
			New:  "FROM judged\n\t\t\tWHERE ($11::text[])[command] <> 'INSUFFICIENT_FUNDS'\n\t\t\tORDER BY id",
		},
		{
			File: "internal/paymentdb/charge.go",
			Old:  `SELECT identity, statement_timestamp(), (SELECT array_agg(id) FROM decided),`,
			New: `SELECT identity, statement_timestamp(), (
			SELECT array_agg(id)
			FROM (
				SELECT id FROM decided UNION ALL SELECT id FROM judged
				WHERE ($11::text[])[command] = 'INSUFFICIENT_FUNDS'
					AND NOT EXISTS (SELECT FROM payments WHERE payments.id = judged.id)
			) AS told),`,
		},
	},
}

var validationBeforeLookup = Mutant{
	Name: "validation-before-lookup", Rule: 5,
	Breaks: "today's rules and the card network are asked before the key is looked up, of voids as well",
	Needs:  "orders that the network fails and that are given up, whose voids then fail for ever: the amount 9999",
	Faults: []string{"kill-paymentd"},
	Oracle: []rules.ID{rules.I14},
	Edits: []Edit{
		{
			File: "paymentd/decide.go",
			Old:  `	doubtful, charges := apart(charges,`,
			New: `	failed, voids := apart(voids, func(c *command) bool {
		_, c.refused = s.network.Authorise(ctx, c.asked.Request)
		return c.refused != nil
	})
	refused = joined(refused, failed)
	doubtful, charges := apart(charges,`,
		},
		{
			File: "paymentd/decide.go",
			Old:  `range carryOut(ctx, commands, s.lookup)`,
			New:  `range refuse(commands, paymentdb.ErrNotFound)`,
		},
	},
}

// The ledger's primary key would refuse the second charge: it goes as well.
var noIdempotency = Mutant{
	Name: "no-idempotency", Rule: 6,
	Breaks: "a charge of a key that is CHARGED takes the amount again",
	Needs:  "charges that arrive twice: calls repeated, replies lost, relays killed before they settle",
	Faults: []string{"lost-replies", "duplicate"},
	Oracle: []rules.ID{rules.I1, rules.I7},
	Edits: []Edit{
		{
			File: "internal/paymentdb/charge.go",
			Old:  `ON CONFLICT (id) DO NOTHING`,
			New:  `ON CONFLICT (id) DO UPDATE SET updated_at = clock_timestamp() WHERE payments.status = 'CHARGED'`,
		},
		{
			File: "migrations/payments/00002_ledger.sql",
			Old:  `	CONSTRAINT ledger_pkey PRIMARY KEY (payment_id, kind),`,
		},
	},
}

// Every command of an order is made from the order's own row, so that no two processes of ours ever disagree about an
// amount. Only a reply that was made up on the way, or a stranger's charge of the same key, can show the damage.
var anotherAmount = Mutant{
	Name: "another-amount", Rule: 6,
	Breaks: "the amount is compared neither with what is stored under the key nor with what a reply echoes",
	Needs:  "replies that echo another amount in the place of the charge, which paymentd never sees",
	Faults: []string{"forged-echo"},
	Oracle: []rules.ID{rules.I2, rules.I3, rules.I16, rules.I7},
	Edits: []Edit{
		{File: "internal/payment/payment.go", Old: ` && p.AmountMinor == r.AmountMinor`},
		{
			File: "relay/internal/dispatch/reply.go",
			Old:  "\n\t\tgot.GetAmount().GetAmountMinor() == want.GetAmount().GetAmountMinor() &&",
		},
		{
			File: "internal/orderdb/verdict.go",
			Old:  `AmountMinor: o.AmountMinor, Currency: o.Currency}`,
			New:  `AmountMinor: t.AmountMinor, Currency: o.Currency}`,
		},
		{
			File: "internal/orderdb/settle_paid.go",
			Old:  `FROM (told.customer_id, told.amount_minor, told.currency)`,
			New:  `FROM (told.customer_id, o.amount_minor, told.currency)`,
		},
		{
			File: "internal/orderdb/settle_near.go",
			Old:  `o.amount_minor,`,
			New:  `o.amount_minor > 0,`,
		},
		{
			File: "internal/orderdb/settle_near.go",
			Old:  `unnest($3::bigint[]),`,
			New:  `unnest($3::bigint[]) > 0,`,
		},
	},
}

// The trigger that keeps payments would refuse it: it goes as well.
var prunedKey = Mutant{
	Name:   "pruned-key",
	Breaks: "voids and declines that are older than a second are deleted",
	Needs:  "orders that are cancelled, for longer than a second",
	Faults: []string{"replay"},
	Oracle: []rules.ID{rules.I3, rules.I16, rules.I7},
	Edits: []Edit{{
		File: "migrations/payments/00007_ledger_payment.sql",
		Old:  `BEFORE DELETE OR TRUNCATE ON payments`,
		New:  `BEFORE TRUNCATE ON payments`,
	}, {
		File: "internal/paymentdb/void.go",
		Old:  `	a := k.arrays()`,
		New: "	a := k.arrays()" + `
	if err := pg.Exec(ctx, s.pool, ` + "`" + `
		DELETE FROM payments
		WHERE id IN (
			SELECT id
			FROM payments
			WHERE status IN ('DECLINED', 'VOIDED') AND updated_at < clock_timestamp() - interval '1 second'
			FOR UPDATE SKIP LOCKED)` + "`" + `); err != nil {
		return nil, err
	}`,
	}},
}
