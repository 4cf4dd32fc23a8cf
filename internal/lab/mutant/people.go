package mutant

import (
	"time"

	"hosho/internal/rules"
)

// The mistakes of systems that trust the people who run them, and the servers on which they run.

var misconfiguredIsPoison = Mutant{
	Name:   "misconfigured-is-poison",
	Breaks: "a right, a table or a password that is missing is answered INTERNAL, as if the order were at fault",
	Needs:  "rights that are taken away, and a password that is changed",
	Faults: []string{"misconfigured"},
	Oracle: []rules.ID{rules.Fault, rules.Definite},
	Edits: []Edit{
		{
			File: "internal/pg/fault.go",
			Old:  `fault == Unexpected && errors.As(err, &connect)`,
			New:  `false`,
		},
		{
			File: "internal/pg/fault.go",
			Old:  `	case misconfigured(err):`,
			New:  `	case false && misconfigured(err):`,
		},
	},
}

var trustedPayload = Mutant{
	Name: "trusted-payload", Rule: 6,
	Breaks: "a command is taken for what its row in the outbox says, and a reply for what its command asked",
	Needs:  "payloads that somebody changes while they wait",
	Faults: []string{"tampered-outbox"},
	Oracle: []rules.ID{rules.I2, rules.I4, rules.I7, rules.I12},
	Edits: []Edit{
		{
			File: "relay/check.go",
			Old:  `found, err := command.Differences(kind, o, m.Payload)`,
			New:  `found, err := "", error(nil)`,
		},
		notHeldAgainstTheOrder, notHeldAgainstPaidOrders, notHeldAgainstNearOrders,
	},
}

var forgottenCompletion = Mutant{
	Name: "forgotten-completion", Rule: 7,
	Breaks: "an order that was COMPLETED is CANCELLED when its VOID finds no charge to give back",
	Needs:  "payments that are lost after their orders were COMPLETED",
	Faults: []string{"forgotten-payment"},
	Oracle: []rules.ID{rules.I25},
	Edits: []Edit{{
		File: "internal/order/apply.go",
		Old: `	case s.AfterCompleted:
		return notRefunded(s)
`,
	}},
}

var cancelledCommit = Mutant{
	Name: "cancelled-commit", Rule: 11,
	Breaks: "a COMMIT is cancelled when its caller gives up, and OK with a warning is taken for OK",
	Needs:  "a standby that is away, and then takes over",
	// An order is placed, claimed and decided within this, each after its caller has given up.
	Faults: []string{"standby-lost"}, Length: 20 * time.Second,
	Oracle: []rules.ID{rules.Definite, rules.I10, rules.I4, rules.I16, rules.I2},
	Edits: []Edit{
		{File: "internal/pg/session.go", Old: `if s.committing.Load() {`, New: `if false {`},
		{File: "internal/pg/session.go", Old: `notice.Routine == "SyncRepWaitForLSN"`, New: `false`},
		{
			File: "internal/pg/tx.go",
			Old:  `err := tx.Commit(context.Background())`,
			New:  `err := tx.Commit(ctx)`,
		},
		{File: "internal/pg/pipeline.go", Old: `err := p.run()`, New: `err := p.run(ctx)`},
		{
			File: "internal/pg/pipeline.go",
			Old:  `func (p *pipeline) run() error {`,
			New:  `func (p *pipeline) run(ctx context.Context) error {`,
		},
		{
			File: "internal/pg/pipeline.go",
			Old:  `p.conn.SendBatch(context.Background(), p.batch)`,
			New:  `p.conn.SendBatch(ctx, p.batch)`,
		},
		{
			File: "internal/pg/tx.go",
			Old: `	select {
	case <-done:
		return result
	case <-ctx.Done():
	}`,
			New: `	if <-done; ctx != nil {
		return result
	}`,
		},
	},
}

var anyPaymentd = Mutant{
	Name:   "any-paymentd",
	Breaks: "whoever answers as paymentd is believed, and decides, whichever database it has",
	Needs:  "relays that are led to a paymentd of another environment",
	Faults: []string{"wrong-paymentd"},
	Oracle: []rules.ID{rules.I2, rules.I3, rules.I15, rules.I16},
	Edits: []Edit{
		{File: "relay/trust.go", Old: `if v.problem == another || v.problem == untold {`, New: `if false {`},
		{File: "internal/paymentdb/identity.go", Old: `		if m != "" && `, New: `		if false && m != "" && `},
		{File: "internal/paymentdb/identity.go", Old: `id = ALL($1::uuid[])`, New: `true OR id = ALL($1::uuid[])`},
	},
}
