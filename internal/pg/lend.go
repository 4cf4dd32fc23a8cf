package pg

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
)

// lender has a connection keep nothing of a caller. pgx notes the context of the latest query in the connection, and
// leaves it there until the next one. A call's context leads to its gRPC connection, with every reply on it that was
// not read: connections that had gone were kept by those to the database, tens of megabytes each.
//
// So pgx is given a context that stands for the caller's as long as the query lasts. It is a tracer, since that is
// where pgx takes another context.
type lender struct {
	tracer pgx.QueryTracer // the connection's own; may be nil
}

// TraceQueryStart is called by pgx.
func (l lender) TraceQueryStart(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if l.tracer != nil {
		ctx = l.tracer.TraceQueryStart(ctx, conn, data)
	}
	return lend(ctx)
}

// TraceQueryEnd is called by pgx when it has read the rows.
func (l lender) TraceQueryEnd(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryEndData) {
	lent, ok := ctx.(*lent)
	if !ok {
		return
	}
	if l.tracer != nil {
		l.tracer.TraceQueryEnd(lent.owner(), conn, data)
	}
	lent.end()
}

// TraceBatchStart is called by pgx. The connection's own tracer is told of batches by whoever sends them.
func (l lender) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return lend(ctx)
}

// TraceBatchQuery is called by pgx.
func (l lender) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}

// TraceBatchEnd is called by pgx when it has read the results.
func (l lender) TraceBatchEnd(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchEndData) {
	if lent, ok := ctx.(*lent); ok {
		lent.end()
	}
}

// lent is a context that stands for another one until it has ended.
type lent struct {
	of atomic.Pointer[context.Context]
}

func lend(ctx context.Context) *lent {
	l := &lent{}
	l.of.Store(&ctx)
	return l
}

func (l *lent) owner() context.Context { return *l.of.Load() }

// end forgets the context. Nobody waits for it any more.
func (l *lent) end() {
	nobody := context.Background()
	l.of.Store(&nobody)
}

// Deadline is the owner's.
func (l *lent) Deadline() (time.Time, bool) { return l.owner().Deadline() }

// Done is the owner's.
func (l *lent) Done() <-chan struct{} { return l.owner().Done() }

// Err is the owner's.
func (l *lent) Err() error { return l.owner().Err() }

// Value is the owner's.
func (l *lent) Value(key any) any { return l.owner().Value(key) }
