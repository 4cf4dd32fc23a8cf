package pg

import (
	"fmt"

	"github.com/jackc/pgx/v5"
)

// At returns the same configuration for another URL, or an error when that is none.
func (c Config) At(url string) (Config, error) {
	if _, err := Parse(url); err != nil {
		return c, fmt.Errorf("LISTEN: %w", err)
	}
	c.URL = url
	return c, nil
}

// Single returns how a connection is made that is in no pool. It is as those of Open: nothing of it stays behind in a
// session that a pooler gives to somebody else, but for what its user puts there.
func (c Config) Single() (*pgx.ConnConfig, error) {
	config, err := Parse(c.URL)
	if err != nil {
		return nil, err
	}
	c.tune(config.ConnConfig)
	config.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	return config.ConnConfig, nil
}
