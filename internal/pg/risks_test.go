package pg

import (
	"strings"
	"testing"
)

// Each member of the kind: what a server may be told so that it acknowledges a commit that may vanish, and what is as
// safe as the default.
func TestTheRisksOfAServer(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(*server)
		want   string // what the one risk begins with; "" for none
	}{
		{"as by default", func(*server) {}, ""},
		{"with a standby", func(s *server) { s.standbys = "ANY 1 (b)" }, ""},
		{"applied on the standby", func(s *server) { s.standbys, s.commit = "b", "remote_apply" }, ""},
		{"local, without a standby", func(s *server) { s.commit = "local" }, ""},
		{"remote_write, without a standby", func(s *server) { s.commit = "remote_write" }, ""},
		{"fsync", func(s *server) { s.fsync = "off" }, "fsync: got off, want on"},
		{"pages", func(s *server) { s.fullPageWrites = "off" }, "full_page_writes: got off, want on"},
		{"disk", func(s *server) { s.dataSyncRetry = "on" }, "data_sync_retry: got on, want off"},
		{"damage", func(s *server) { s.zeroDamagedPages = "on" }, "zero_damaged_pages: got on, want off"},
		{"commit", func(s *server) { s.commit = "off" }, "synchronous_commit: got off, want on"},
		{
			"commit, with a standby", func(s *server) { s.standbys, s.commit = "b", "off" },
			"synchronous_commit: got off, want on",
		},
		{
			"local, with a standby", func(s *server) { s.standbys, s.commit = "b", "local" },
			"synchronous_commit: got local, want on or remote_apply, since synchronous_standby_names is b",
		},
		{
			"remote_write, with a standby", func(s *server) { s.standbys, s.commit = "b", "remote_write" },
			"synchronous_commit: got remote_write, want on or remote_apply",
		},
		{"tables", func(s *server) { s.unlogged = "orders, outbox" }, "unlogged tables: got orders, outbox, want none"},
	}
	for _, tt := range tests {
		s := server{fsync: "on", fullPageWrites: "on", dataSyncRetry: "off", zeroDamagedPages: "off", commit: "on"}
		tt.change(&s)
		risks := s.risks()
		if tt.want == "" && len(risks) > 0 ||
			tt.want != "" && (len(risks) != 1 || !strings.HasPrefix(risks[0], tt.want)) {
			t.Errorf("%s: got %q, want %q", tt.name, risks, tt.want)
		}
	}
}
