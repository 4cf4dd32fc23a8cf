package mutant

import (
	"time"

	"hosho/internal/rules"
)

// The mistakes of the relay and of the outbox engine that it runs.

var errorIsEvidence = Mutant{
	Name: "error-is-evidence", Rule: 1,
	Breaks: "an ALREADY_EXISTS that does not say KEY_REUSED is taken for a charge that was made before",
	Needs:  "charges that are answered ALREADY_EXISTS and never reach paymentd",
	Faults: []string{"codes-before"},
	Oracle: []rules.ID{rules.I2, rules.I16, rules.I7},
	Edits: []Edit{
		{
			File: "relay/internal/dispatch/errors.go",
			Old:  `	r.Body = f.message`,
			New: `	r.Body = f.message
	if f.code == codes.AlreadyExists && r.Result == outbox.Ambiguous && r.Message.Kind == "CHARGE" {
		r.Result, r.Body = outbox.Decided, &paymentv1.Payment{Status: paymentv1.Payment_STATUS_CHARGED}
	}`,
		},
		notHeldAgainstTheOrder, notHeldAgainstPaidOrders, notHeldAgainstNearOrders,
	},
}

// notHeldAgainstTheOrder has a settlement believe a reply about whatever payment. What is made up has none.
var notHeldAgainstTheOrder = Edit{
	File: "internal/orderdb/verdict.go",
	Old:  `finding.Event.Fact() && !finding.Told.of(o.Order)`,
	New:  `false`,
}

// notHeldAgainstPaidOrders does the same where many are settled with one statement.
var notHeldAgainstPaidOrders = Edit{
	File: "internal/orderdb/settle_paid.go",
	Old:  `IS NOT DISTINCT FROM (told.customer_id, told.amount_minor, told.currency)`,
	New:  `IS DISTINCT FROM (NULL, NULL, NULL)`,
}

// notHeldAgainstNearOrders does so where those were placed together.
var notHeldAgainstNearOrders = Edit{
	File: "internal/orderdb/settle_near.go",
	Old: `
				AND ((o.id, o.customer_id, o.amount_minor, o.currency) IN (
					SELECT unnest($1::uuid[]), unnest($2::text[]), unnest($3::bigint[]), unnest($4::text[])
				)) IS TRUE`,
	New: `
				AND (o.id IN (SELECT unnest($1::uuid[])
					WHERE ($2::text[], $3::bigint[], $4::text[]) IS NOT NULL)) IS TRUE`,
}

var unfencedReschedule = Mutant{
	Name: "unfenced-reschedule", Rule: 9,
	Breaks: "whoever held a command once may reschedule it, also while another relay holds it or lets it wait",
	Needs: "a relay paused past its lease with commands that fail again and again, so that their waits have grown: " +
		"voids that fail",
	Faults: []string{"pause-relay", "slow-voids"},
	Oracle: []rules.ID{rules.Early, rules.I13},
	Edits: []Edit{{
		File: "internal/outbox/finish.go",
		Old:  ` AND m.lease_token IS NOT DISTINCT FROM r.token`,
	}},
}

var claimForEver = Mutant{
	Name: "claim-for-ever", Rule: 9,
	Breaks: "a claim is a lock without an end: what a killed relay held is claimed by nobody",
	Needs:  "a relay killed while it holds claims",
	Faults: []string{"kill-relay"},
	Oracle: []rules.ID{rules.I14},
	Edits: []Edit{{
		File: "internal/outbox/claim.go",
		Old:  `AND NOT suspect`,
		New:  `AND NOT suspect AND lease_token IS NULL`,
	}},
}

var ownClock = Mutant{
	Name: "own-clock", Rule: 10,
	Breaks: "the relay holds deadlines against its own clock, which is an hour ahead",
	Faults: []string{"kill-relay"},
	Oracle: []rules.ID{rules.D1},
	Edits: []Edit{{
		File: "internal/outbox/delivering.go",
		Old:  `		if m.Expired {`,
		New:  `		if m.ExpiresAt != nil && time.Now().Add(time.Hour).After(*m.ExpiresAt) {`,
	}},
}

var droppedLateReply = Mutant{
	Name:   "dropped-late-reply",
	Breaks: "a decision that comes after its command's time is thrown away",
	Needs:  "a link to paymentd that is slower than a call may be",
	Faults: []string{"net-slow"}, Length: 14 * time.Second,
	Oracle: []rules.ID{rules.Steady},
	Edits: []Edit{{
		File: "relay/internal/dispatch/late.go",
		Old:  `if interpret(&r, d, result); r.Result != outbox.Decided {`,
		New:  `if interpret(&r, d, result); r.Late {`,
	}},
}

var hangingGoesAlone = Mutant{
	Name:   "hanging-goes-alone",
	Breaks: "a command that hangs while its neighbours are answered is delivered alone, as if it had killed its relay",
	Needs:  "orders that hang in a card network of which paymentd waits for ever",
	Faults: []string{"hanging-unanswered"}, Length: 12 * time.Second,
	Oracle: []rules.ID{rules.Steady},
	Edits: []Edit{{
		File: "relay/internal/dispatch/silence.go",
		Old:  `r.Lost = k == ofAll`,
		New:  `r.Lost = true`,
	}},
}

var frozenTransaction = Mutant{
	Name:   "frozen-transaction",
	Breaks: "a process that stands still in a transaction keeps its rows locked for as long as it does",
	Needs:  "a relay that stands still while it settles, for longer than the server allows",
	Faults: []string{"stop-settling"}, Length: 20 * time.Second,
	Oracle: []rules.ID{rules.I21},
	Edits: []Edit{{
		File: "internal/pg/plans.go",
		Old:  `"idle_in_transaction_session_timeout", "10s", `,
	}},
}
