package pg

import "github.com/jackc/pgx/v5"

// Single returns how a connection is made that is in no pool. It is as those of Open: nothing of it stays behind in a
// session that a pooler gives to somebody else, but for what its user puts there.
func (c Config) Single() (*pgx.ConnConfig, error) {
	config, err := Parse(c.URL)
	if err != nil {
		return nil, err
	}
	c.tune(config.ConnConfig)
	return config.ConnConfig, nil
}
