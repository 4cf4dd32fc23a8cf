package version

import (
	"runtime/debug"
	"testing"
)

func TestAVersionIsTheStampedOneOrWhatTheBuildKnows(t *testing.T) {
	t.Parallel()
	const commit = "0123456789abcdef0123456789abcdef01234567"
	tests := []struct{ stamped, module, commit, want string }{
		{"v1.2.3", "v0.0.1", commit, "v1.2.3"},
		{"", "v1.2.3", commit, "v1.2.3 0123456789ab"},
		{"", "v0.0.0-20261126171102-0123456789ab+dirty", commit, "v0.0.0-20261126171102-0123456789ab+dirty"},
		{"", "v1.2.3", "", "v1.2.3"},
		{"", "v1.2.3", "0123", "v1.2.3 0123"},
		{"", "(devel)", "", "(devel)"},
		{"", "", "", "(devel)"},
	}
	for _, test := range tests {
		info := &debug.BuildInfo{Main: debug.Module{Version: test.module}}
		if test.commit != "" {
			info.Settings = []debug.BuildSetting{{Key: "vcs", Value: "git"}, {Key: "vcs.revision", Value: test.commit}}
		}
		if got := of(test.stamped, info); got != test.want {
			t.Errorf("%+v: got %q, want %q", test, got, test.want)
		}
	}
	if String() == "" {
		t.Error("got no version of this program")
	}
}
