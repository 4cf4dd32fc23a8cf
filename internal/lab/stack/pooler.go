package stack

import (
	"context"
	"errors"
	"net/url"
	"strings"

	"hosho/internal/pgembed"
)

// startPoolers starts a PgBouncer before each primary, where Config asks for it.
func (s *Stack) startPoolers(ctx context.Context) error {
	if s.config.Poolers == nil {
		return nil
	}
	if s.config.Standbys {
		return errors.New("a pooler before a database with a standby: want one or the other")
	}
	s.poolers = map[string]*pgembed.Pooler{}
	for database, direct := range map[string]string{OrdersDatabase: s.OrdersURL(), PaymentsDatabase: s.PaymentsURL()} {
		address, err := url.Parse(direct)
		if err != nil {
			return err
		}
		config := pgembed.PoolerConfig{Server: address.Host, Settings: s.config.Poolers}
		config.Users = s.passwords
		if s.poolers[database], err = pgembed.StartPooler(ctx, config); err != nil {
			delete(s.poolers, database)
			return err
		}
	}
	return nil
}

// pooled returns the URL by which the daemons reach a database: through its pooler, if it has one.
func (s *Stack) pooled(database, direct string) string {
	address, err := url.Parse(direct)
	if s.poolers == nil || err != nil { // pgembed made it
		return direct
	}
	address.Host = s.poolers[database].Address()
	query := address.Query()
	query.Set("default_query_exec_mode", "cache_describe") // as doc/operations.md has it
	address.RawQuery = query.Encode()
	return address.String()
}

// past is what has a daemon LISTEN past the pooler of the orders database.
func (s *Stack) past(prefix string) []string {
	if s.poolers == nil {
		return nil
	}
	return []string{prefix + "_LISTEN_DATABASE_URL=" + s.As(strings.ToLower(prefix), s.OrdersURL())}
}
