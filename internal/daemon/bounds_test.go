package daemon_test

import (
	"strings"
	"testing"
)

func TestNumbersThatCannotBeMeantAreRefusedAtTheStart(t *testing.T) {
	t.Parallel()
	for setting, want := range map[string]string{
		"SAMPLED_PATIENCE=1ns":   `--patience: got 1ns, want 1ms to 1h (from envar SAMPLED_PATIENCE="1ns")`,
		"SAMPLED_PATIENCE=":      `--patience: expected duration but got ""`,
		"SAMPLED_PATIENCE=60":    `--patience: expected duration but got "60"`,
		"SAMPLED_TIMES=10":       `--times: got 10, want 1 to 9 (from envar SAMPLED_TIMES="10")`,
		"SAMPLED_TIMES=-1":       "--times: got -1, want 1 to 9",
		"SAMPLED_TIMES=1e3":      "--times: expected a valid 64 bit int",
		"SAMPLED_TIMES=":         "--times: expected a valid 64 bit int",
		"SAMPLED_LOG_LEVEL=":     `--log-level: got "", want debug, info, warn or error`,
		"SAMPLED_LOG_LEVEL=loud": `--log-level: got "loud", want debug, info, warn or error`,
		"SAMPLED_LOG_FORMAT=":    `--log-format must be one of "auto","json","text" but got ""`,
		"SAMPLED_REFLECTION=":    "--reflection: bool value must be true",
		"SAMPLED_REFLECTION=on":  "--reflection: bool value must be true",
	} {
		_, stderr, code := run(t, []string{setting}, "serve", "--database-url", url)
		if !strings.HasPrefix(stderr, "sampled: error: "+want) || code == 0 {
			t.Errorf("%s: got %q, exit %d; want it refused: %s", setting, stderr, code, want)
		}
	}
}
