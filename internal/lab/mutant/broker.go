package mutant

import (
	"time"

	"hosho/internal/rules"
)

// The mistakes of a saga that goes over a broker. What they lose the resends would make up for, sooner or later: where
// a mistake is one of losing events, they come later than the experiment lasts.
const never = time.Hour

var leavesWhenAcknowledged = Mutant{
	Name:      "leaves-when-acknowledged",
	Breaks:    "a command leaves the outbox when the broker has acknowledged it",
	Faults:    []string{"broker-loss"},
	Transport: "nats",
	Oracle:    []rules.ID{rules.I5, rules.I14},
	Edits: []Edit{{
		File: "internal/outbox/sends.go",
		Old: `		UPDATE {table} AS m
		SET lease_token = NULL,
			leased_until = NULL,
			claims = claims - 1,
			sends = greatest(sends, held.send),
			ready_at = clock_timestamp() + held.delay,
			last_code = held.code
		FROM held`,
		New: `		DELETE FROM {table} AS m
		USING held`,
	}},
}

var silentInbox = Mutant{
	Name:      "silent-inbox",
	Breaks:    "what paymentd has decided already it takes for a duplicate, and says nothing",
	Needs:     "a lost outcome",
	Faults:    []string{"broker-loss"},
	Transport: "nats",
	Oracle:    []rules.ID{rules.I14},
	Edits: []Edit{{
		File: "paymentd/outcome.go",
		Old:  `	case refusal == nil:`,
		New: `	case refusal == nil && !a.fresh:
		return nil, inbox.Done
	case refusal == nil:`,
	}},
}

var acknowledgesBeforeCommit = Mutant{
	Name:      "acknowledges-before-commit",
	Breaks:    "an event is acknowledged before what it came to is committed",
	Needs:     "a consumer killed in between",
	Faults:    []string{"kill-paymentd", "kill-relay"},
	Transport: "nats", Resend: never,
	Oracle: []rules.ID{rules.I14},
	Edits: []Edit{{
		File: "internal/inbox/inbox.go",
		Old: `	var verdicts []Verdict
	var ok bool
	if len(batch.Events) > 1 {`,
		New: `	acknowledged := make([]bool, len(batch.Events))
	for i := range acknowledged {
		acknowledged[i] = true
	}
	batch.Done(acknowledged)
	batch.Done = func([]bool) {}
	var verdicts []Verdict
	var ok bool
	if len(batch.Events) > 1 {`,
	}},
}

var acknowledgesWhatWaits = Mutant{
	Name:      "acknowledges-what-waits",
	Breaks:    "an event that cannot be dealt with yet is acknowledged",
	Needs:     "a database that is away",
	Faults:    []string{"crash-payments", "lock-rows"},
	Transport: "nats", Resend: never,
	Oracle: []rules.ID{rules.I14},
	Edits: []Edit{{
		File: "internal/inbox/inbox.go",
		Old:  `v.Fate != Later`,
		New:  `v.Fate != 0`,
	}},
}

var buriesWhatWaits = Mutant{
	Name:      "buries-what-waits",
	Breaks:    "an event that cannot be dealt with yet is a dead letter",
	Needs:     "a database that is away",
	Faults:    []string{"crash-payments", "lock-rows"},
	Transport: "nats",
	Oracle:    []rules.ID{rules.Fault},
	Edits: []Edit{{
		File: "internal/inbox/inbox.go",
		Old:  `		if v.Fate == Dead {`,
		New:  `		if v.Fate == Dead || v.Fate == Later {`,
	}},
}

var resendIsDuplicate = Mutant{
	Name:      "resend-is-duplicate",
	Breaks:    "the broker is told the fact alone, and drops each resend for a duplicate",
	Needs:     "a lost event",
	Faults:    []string{"broker-loss"},
	Transport: "nats",
	Oracle:    []rules.ID{rules.I14},
	Edits: []Edit{{
		File: "internal/broker/headers.go",
		Old:  `return fmt.Sprintf("%s#%d", e.ID, e.Send)`,
		New:  `return e.ID`,
	}},
}

var duplicateSpends = Mutant{
	Name:      "duplicate-spends",
	Breaks:    "each copy of a refusal spends an attempt",
	Needs:     "refusals that come twice",
	Faults:    []string{"broker-duplicates"},
	Transport: "nats",
	Oracle:    []rules.ID{rules.I13},
	Edits: []Edit{{
		File: "internal/orderdb/hear.go",
		Old:  ` || h.Refused <= c.Refused`,
	}},
}

var unroutableIsConfirmed = Mutant{
	Name:      "unroutable-is-confirmed",
	Breaks:    "what RabbitMQ can put in no queue does not come back, and is confirmed all the same",
	Needs:     "a queue that is missing",
	Faults:    []string{"broker-missing"},
	Length:    8 * time.Second,
	Transport: "rabbitmq",
	Oracle:    []rules.ID{rules.Confirmed},
	Edits: []Edit{{
		File: "internal/broker/rabbitmq/publish.go",
		Old:  `events[i].Subject, true, false,`,
		New:  `events[i].Subject, false, false,`,
	}},
}
