// Package outbox is the engine that delivers messages which were written in somebody's transaction.
//
// Its promise: a message that was committed is delivered at least once, however often a worker dies, and it leaves the
// outbox only in the transaction that applies what became of it. The engine knows neither orders nor gRPC: a Handler
// checks, delivers and settles, the engine claims, leases, retries and parks. Nobody else names the columns of its
// Table.
//
// The life of a row:
//
//	Append, in the writer's transaction; AppendFrom may go straight to leased, by a worker's standing claim
//	   |
//	   v
//	  due ----------- claim ----------> leased ---- the handler delivers it, and no transaction is open ----+
//	   ^     (one statement: SKIP        |   |                                                              |
//	   |      LOCKED, token, count)      |   |  lease over: the worker died, the row is due again           |
//	   +---------------------------------+---+                                                              |
//	   |                                                                                                    v
//	   +-- waiting (ready_at in the future) <-- Reschedule, fenced by the token ---------------------- what became
//	   |                                                                                                of it?
//	   +-- parked, until an operator retries it <-- Park, fenced by the token --------------------------- | |
//	                                                                                                      | |
//	   gone <-- Remove, in the transaction that applies the outcome <-------------------------------------+ |
//	   gone <-- a younger row of its key supersedes it, where its Table says so: the claim deletes it       |
//	   given up (expired) --> the handler settles it without delivering <-----------------------------------+
//
// Where a message goes over a broker, it may be handed over (HandedOver): the broker has confirmed it, which is no
// outcome, since brokers lose what they have confirmed. Then it waits like one that is tried again, but that its claim
// is taken back (HandOver), and is handed over once more, as another send, until what became of it is heard and
// applied: by an event, under the locks of what it is about and of its row (Lock). Nobody has a claim then. A refusal
// counts for the latest send alone, and once.
//
// A claim changes no indexed column. What it leaves in its place in the index of what is due, later claims pass over,
// and where they begin to look is a hint (frontier). What they miss is found by a look (Table.Look), which each
// worker's kinds share.
//
// A lease saves work and is no lock: two workers may hold the same row, one of them too late. What they settle must
// therefore be decided by the state of the thing that the message is about, under its own row's lock. Only reschedule,
// park and release go by the lease: they say nothing about the thing, and a worker that is too late must not move a
// row that another one works on.
//
// Each kind of message may have a worker of its own (Workers). Then what keeps one kind from being delivered, or fills
// its worker's hands, keeps no other: a breaker that messages of one kind have opened is theirs alone.
//
// All times are the database's clock_timestamp(). No property depends on clocks being right, only the pace does.
//
// These are rules 9 and 10 of doc/rules.md.
package outbox
