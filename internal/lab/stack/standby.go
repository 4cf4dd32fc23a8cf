package stack

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"

	"hosho/internal/pgembed"
)

// The databases, by the names that Failover and Rejoin take.
const (
	OrdersDatabase   = "orders"
	PaymentsDatabase = "payments"
)

// startStandby gives a database's server a standby that each commit waits for, where Config asks for it, and notes how
// the database is reached.
func (s *Stack) startStandby(ctx context.Context, database string) error {
	primary, standby := s.servers(database)
	if !s.config.Standbys {
		return nil
	}
	made, err := pgembed.StartStandby(ctx, *primary, s.serverConfig(database, "-standby"))
	if err != nil {
		return fmt.Errorf("start the standby of %s: %w", database, err)
	}
	*standby = made
	return (*primary).Acknowledge(ctx, made)
}

func (s *Stack) serverConfig(database, suffix string) pgembed.Config {
	return pgembed.Config{
		Dir: filepath.Join(s.Dir, database+suffix), Durable: s.config.Durable, Settings: s.config.Settings,
		Env: s.config.ServerEnv[database],
	}
}

// servers returns where the two servers of a database are kept.
func (s *Stack) servers(database string) (primary, standby **pgembed.Server) {
	if database == OrdersDatabase {
		return &s.Orders, &s.OrdersStandby
	}
	return &s.Payments, &s.PaymentsStandby
}

// all returns every server that was started, each primary before its standby, which it wants to send its last to.
func (s *Stack) all() []*pgembed.Server {
	servers := []*pgembed.Server{s.Orders, s.OrdersStandby, s.Payments, s.PaymentsStandby}
	return slices.DeleteFunc(servers, func(server *pgembed.Server) bool { return server == nil })
}

// Failover kills the primary of a database and promotes its standby: it returns when that accepts writes, which then
// wait for nobody. The two change places in s, which nobody may look at meanwhile.
func (s *Stack) Failover(ctx context.Context, database string) error {
	primary, standby := s.servers(database)
	if *standby == nil {
		return fmt.Errorf("fail over %s: it has no standby: Config.Standbys starts one", database)
	}
	(*primary).Kill()
	if err := (*standby).Promote(ctx); err != nil {
		return fmt.Errorf("fail over %s: %w", database, err)
	}
	*primary, *standby = *standby, *primary
	return nil
}

// Rejoin makes the former primary the standby of the one that has taken over: a copy of it, for which its commits wait
// again.
func (s *Stack) Rejoin(ctx context.Context, database string) error {
	primary, standby := s.servers(database)
	if *standby == nil {
		return fmt.Errorf("rejoin %s: it has no standby: Config.Standbys starts one", database)
	}
	err := (*standby).Follow(ctx, *primary)
	if err == nil {
		err = (*primary).Acknowledge(ctx, *standby)
	}
	if err != nil {
		return fmt.Errorf("rejoin %s: %w", database, err)
	}
	return nil
}

// urlOf returns a database's URL. With a standby it names both servers, always in the same order.
func (s *Stack) urlOf(database string) string {
	primary, standby := s.servers(database)
	direct := (*primary).URL(database)
	if *standby == nil {
		return direct
	}
	one, oneErr := url.Parse(direct)
	other, otherErr := url.Parse((*standby).URL(database))
	if errors.Join(oneErr, otherErr) != nil { // pgembed made them
		return direct
	}
	one.Host = min(one.Host, other.Host) + "," + max(one.Host, other.Host)
	one.RawQuery += "&target_session_attrs=read-write"
	return one.String()
}
