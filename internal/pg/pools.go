package pg

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// readTimeout is how long the server works at one statement of a daemon's reads: a page, or a lock that goes on.
const readTimeout = 5 * time.Second

// minReads is how many connections there are for reads, however small the main pool is.
const minReads = 2

// Pools are the connections of a daemon to its database. What fills one of them is not felt by the others: reads that
// are dear keep nobody from writing, writes that wait for a lock or a standby keep nobody from reading, and neither
// keeps a daemon from telling that it is ready.
type Pools struct {
	Writes    *pgxpool.Pool // the main one, whose size the URL says: all that writes, and what belongs to it
	Reads     *pgxpool.Pool // half as large: what only reads, for a bounded time
	Readiness *pgxpool.Pool // one connection
}

// OpenPools makes the pools. They connect lazily, and they share the Guard, so that when one of them leaves a server
// all do.
func OpenPools(ctx context.Context, c Config) (*Pools, error) {
	var p Pools
	err := p.open(ctx, c)
	if err != nil {
		p.Close()
		return nil, err
	}
	return &p, nil
}

func (p *Pools) open(ctx context.Context, c Config) (err error) {
	writes, reads, readiness := c, c, c
	writes.StatementTimeout, writes.preset = writePatience, true
	if p.Writes, err = Open(ctx, writes); err != nil {
		return err
	}
	reads.Application += " reads"
	reads.MaxConns = max(minReads, p.Writes.Config().MaxConns/2)
	reads.StatementTimeout, reads.preset = readTimeout, true
	if p.Reads, err = Open(ctx, reads); err != nil {
		return err
	}
	readiness.Application += " readiness"
	readiness.MaxConns = 1
	p.Readiness, err = Open(ctx, readiness)
	return err
}

// Close closes all of them, when what is under way has ended.
func (p *Pools) Close() {
	for _, pool := range []*pgxpool.Pool{p.Readiness, p.Reads, p.Writes} {
		if pool != nil {
			pool.Close()
			uncount(pool)
		}
	}
}
