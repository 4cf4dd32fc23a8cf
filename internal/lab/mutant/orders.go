package mutant

import "hosho/internal/rules"

// The mistakes of the order context: its state machine, its database, and the codes that its clients get.

var cancelOnError = Mutant{
	Name: "cancel-on-error", Rule: 2,
	Breaks: "a spent budget, a refused charge or a passed deadline cancels the order at once, and no VOID is sent",
	Needs:  "charges that fail until their budget is spent: the amount 9999",
	Faults: []string{"codes-after"},
	Oracle: []rules.ID{rules.I3, rules.I16, rules.I7},
	Edits: []Edit{{
		File: "internal/order/apply.go",
		Old:  `return Transition{To: State{Status: Cancelling}, Reason: reason, Fate: Drop, Void: true}`,
		New:  `return Transition{To: State{Status: Cancelled}, Reason: reason, Fate: DropAll}`,
	}},
}

var directCancel = Mutant{
	Name: "direct-cancel", Rule: 2,
	Breaks: "a customer's cancellation of a PENDING order leads straight to CANCELLED, and no VOID is sent",
	Needs: "customers who cancel while the charge is under way: charges or their replies are held, or paymentd " +
		"is down",
	Faults: []string{"hold", "hang"},
	Oracle: []rules.ID{rules.I3, rules.I16, rules.I5, rules.I7},
	Edits: []Edit{{
		File: "internal/order/apply.go",
		Old:  `	if s.Status == Pending || s.Status == Completed {`,
		New: `	if s.Status == Pending {
		return Transition{To: State{Status: Cancelled}, Reason: ReasonCustomer, Fate: Keep}
	}
	if s.Status == Completed {`,
	}, {
		// orderd's role may not do that, and the experiment runs under it: with the trigger the mutant does no harm.
		File: "migrations/orders/00024_roles.sql",
		Old:  `	WHEN (NEW.status <> 'CANCELLING' AND pg_has_role(to_regrole('hosho_orderd'), 'MEMBER')`,
		New:  `	WHEN (false AND pg_has_role(to_regrole('hosho_orderd'), 'MEMBER')`,
	}},
}

var abandonedVoid = Mutant{
	Name: "abandoned-void", Rule: 7,
	Breaks: "a VOID that came to anything but a decision is dropped",
	Needs:  "voids that come to an error: codes in the place of their replies, or a paymentd that is killed",
	Faults: []string{"no-voids"},
	Oracle: []rules.ID{rules.I5, rules.I14},
	Edits: []Edit{{
		File: "internal/order/apply.go",
		Old:  `return voidUnanswered(s, Transition{Fate: Retry}), nil`,
		New:  `return voidUnanswered(s, Transition{Fate: Drop}), nil`,
	}},
}

// The last two edits take the database's own defence away. It refuses the write that follows from the others, and would
// turn lost money into an order that settles late.
var blindSettle = Mutant{
	Name: "blind-settle", Rule: 8,
	Breaks: "what became of a charge is applied as if the order were PENDING still, as it was when the charge was " +
		"claimed: no lock, no compare-and-set",
	Needs:  "customers who cancel while the charge is under way, or a relay paused past its lease with a reply in hand",
	Faults: []string{"hold", "slow-settle"},
	Oracle: []rules.ID{rules.I2, rules.I10, rules.I11, rules.I7},
	Edits: []Edit{
		{
			File: "internal/orderdb/settle.go",
			Old: `
		FOR UPDATE SKIP LOCKED`,
		},
		{
			File: "internal/orderdb/settle.go",
			Old:  `		v, err := judge(o, finding)`,
			New: `		if finding.Retry.Message.Kind == string(order.Charge) {
			o.Status = order.Pending
		}
		v, err := judge(o, finding)`,
		},
		{File: "internal/orderdb/leave.go", Old: ` AND orders.status = c.from_status`},
		{File: "internal/orderdb/settle_paid.go", Old: "\n\t\t\t\t\t\tAND o.status = 'PENDING'"},
		{File: "internal/orderdb/settle_paid.go", Old: "\n\t\t\tAND status = 'PENDING'"},
		{File: "internal/orderdb/settle_paid.go", Old: "\n\t\t\t\t\tFOR UPDATE SKIP LOCKED"},
		{File: "internal/orderdb/settle_near.go", Old: "\n\t\t\t\tAND o.status = 'PENDING'"},
		{File: "internal/orderdb/settle_near.go", Old: "\n\t\t\tAND status = 'PENDING'"},
		{File: "internal/orderdb/settle_near.go", Old: "\n\t\t\tFOR UPDATE SKIP LOCKED"},
		{
			File: "migrations/orders/00021_forms_of_types.sql",
			Old:  `WHEN (NEW.status > OLD.status COLLATE "C" OR OLD.status = 'COMPLETED' AND NEW.status = 'CANCELLED')`,
			New:  `WHEN (false)`,
		},
		{
			File: "migrations/orders/00021_forms_of_types.sql",
			Old: `CHECK (
		(status IN ('CANCELLING', 'CANCELLED')) = (cancel_reason IS NOT NULL))`,
			New: `CHECK (true)`,
		},
	},
}

var definiteCommit = Mutant{
	Name: "definite-commit", Rule: 11,
	Breaks: "a COMMIT whose answer was lost is answered INTERNAL, as if nothing had been written",
	Needs:  "commits of the orders database cut after they went through",
	Faults: []string{"cut-commit"},
	Oracle: []rules.ID{rules.Definite},
	Edits: []Edit{{
		File: "internal/rpc/status.go",
		Old: `Status(codes.Unavailable, errorv1.ErrorReason_ERROR_REASON_COMMIT_UNKNOWN,
			"the outcome of the write is unknown: try again with the same key")`,
		New: `Status(codes.Internal, errorv1.ErrorReason_ERROR_REASON_INTERNAL, "internal")`,
	}},
}

var splitTransaction = Mutant{
	Name:   "split-transaction",
	Breaks: "an order is committed before its CHARGE command is written",
	Needs:  "orderd killed between the two: under load, or at a failpoint there",
	Faults: []string{"die-orderd", "kill-orderd"},
	Oracle: []rules.ID{rules.I5, rules.I14},
	Edits: []Edit{
		{
			File: "internal/orderdb/place_insert.go",
			Old: `unnest($10::text[]) AS traceparent
		FROM terms`,
			New: `unnest($10::text[]) AS traceparent
		FROM terms
		WHERE false`,
		},
		{
			File: "internal/orderdb/place.go",
			Old:  `		if err = s.write(ctx, part, waits); pg.Classify(err) == pg.Collision {`,
			New: `		if err = s.write(ctx, part, waits); err == nil {
			failpoint.Here(failpoint.PlaceCommitted)
			err = s.command(ctx, part)
		}
		if pg.Classify(err) == pg.Collision {`,
		},
		{
			File: "internal/orderdb/place.go",
			Old:  `// ofOne reports`,
			New: `func (s *Store) command(ctx context.Context, wanted []*wanting) error {
	var messages []outbox.New
	for _, w := range wanted {
		if o := w.placed.Order; w.placed.Fresh {
			payload, err := s.encode(order.Charge, o)
			if err != nil {
				return err
			}
			messages = append(messages, outbox.New{
				Key: o.ID, Kind: string(order.Charge), Payload: payload, ExpiresAt: o.DeadlineAt,
				Traceparent: w.new.Traceparent,
			})
		}
	}
	return pg.InTx(ctx, s.pool, func(tx pgx.Tx) error { return Outbox.Append(ctx, tx, messages...) })
}

// ofOne reports`,
		},
		{
			File: "internal/orderdb/place.go",
			Old: `
	"hosho/internal/batch"
	"hosho/internal/failpoint"
	"hosho/internal/order"
`,
			New: `
	"github.com/jackc/pgx/v5"

	"hosho/internal/batch"
	"hosho/internal/failpoint"
	"hosho/internal/order"
	"hosho/internal/outbox"
`,
		},
	},
}

var earlyAcknowledgement = Mutant{
	Name:   "early-acknowledgement",
	Breaks: "customers are told that their orders are accepted before the statement that writes them is sent",
	Needs:  "statements that come to nothing: the orders database crashes, or orderd dies before it sends them",
	Faults: []string{"crash-orders", "die-orderd"},
	Oracle: []rules.ID{rules.I10, rules.I9, rules.Definite},
	Edits: []Edit{
		{
			File: "orderd/creator_commit.go",
			Old:  `	placed, err := c.placeAll(news)`,
			New: `	for _, p := range live {
		p.who.placed(order.Order{ID: p.order.ID, CustomerID: p.order.CustomerID, Status: order.Pending}, true, nil)
	}
	placed, err := c.placeAll(news)`,
		},
		{ // the second answer, which nobody reads, finds its place
			File: "orderd/creator.go",
			Old:  `make(caller, 1)`,
			New:  `make(caller, 2)`,
		},
	},
}

var neighboursFailure = Mutant{
	Name:   "neighbours-failure",
	Breaks: "when a request_id was used for something else, all that was to be committed with it is refused",
	Needs:  "customers who use their request_ids again, while others order",
	Faults: []string{"reused-requests"},
	Oracle: []rules.ID{rules.Definite},
	Edits: []Edit{{
		File: "orderd/creator_commit.go",
		Old:  `		result := placed[i]`,
		New: `		result := placed[i]
		for _, other := range placed {
			if other.Err != nil {
				result.Err = other.Err
			}
		}`,
	}},
}
