package pg

import (
	"errors"
	"log/slog"
	"sync/atomic"

	"github.com/jackc/pgx/v5/pgconn"
)

// naming says whether the statements of new connections are prepared under a name, as they are until a pooler in
// transaction mode is met: it gives each transaction another session, in which a name means nothing, or is taken.
type naming struct {
	log *slog.Logger
	off atomic.Bool
}

// giveUp has statements be described only, for good. What was prepared under names is left with the connections.
func (n *naming) giveUp(leaver *leaver, refused *pgconn.PgError) {
	if n.off.Swap(true) {
		return
	}
	n.log.Warn("prepared statements are not kept, statements are planned each time from now on",
		"sqlstate", refused.Code, "error", refused.Message, "look_at", "is there a pooler in transaction mode? "+
			"Then say so in the database's URL: default_query_exec_mode=cache_describe")
	leaver.reset()
}

// misnamed is what a statement is answered whose name the session does not have, or has already.
func misnamed(refused *pgconn.PgError) bool {
	return refused.Code == "26000" || refused.Code == "42P05"
}

// outdated is what a prepared statement is answered when a migration has changed the type of what it returns.
func outdated(refused *pgconn.PgError) bool {
	return refused.Code == "0A000" && refused.Routine == "RevalidateCachedQuery" // its text is translated
}

// unnamed reports whether an error says no more than that a statement was prepared in vain, so that all of it is to be
// done again over another connection. Nothing was written: the server refuses such a statement before it begins with
// it, and the COMMIT with it. tries is how often that was so.
func (s *session) unnamed(err error, tries int32) bool {
	var refused *pgconn.PgError
	if err == nil || s.naming == nil || errors.Is(err, ErrCommitUnknown) || !errors.As(err, &refused) {
		return false
	}
	switch {
	case misnamed(refused):
	case !outdated(refused):
		return false
	case tries <= s.unfinished.most: // each connection has its own
		return true
	}
	s.naming.giveUp(s.leaver, refused) // a pooler that prepares them itself may also keep what is outdated
	return true
}
