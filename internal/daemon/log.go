package daemon

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"os"

	"golang.org/x/term"
	"google.golang.org/grpc/grpclog"

	"hosho/internal/logline"
	"hosho/internal/rpc"
)

// Log is the flags of a process's log.
type Log struct {
	Level level `default:"info" env:"${env}_LOG_LEVEL" help:"debug, info, warn or error."`

	Format string `default:"auto" enum:"auto,json,text" env:"${env}_LOG_FORMAT" help:"${log_format_help}"`
}

// LogFormatHelp is the text for the variable log_format_help.
const LogFormatHelp = "auto is text on a terminal, JSON elsewhere."

// Open makes the log of a process that is not run by Main, and returns what writes the rest of it before the end.
func (c *Log) Open(name string) (log *slog.Logger, flush func()) {
	log, stderr := c.open(name)
	return log, stderr.flush
}

// open makes the log, and returns where it goes, too: stderr is written to by nobody else, but by Go itself when it
// gives up. gRPC and net/http have logs of their own, which become lines of this one.
func (c *Log) open(name string) (*slog.Logger, *lines) {
	asText := c.Format == "text" || c.Format == "auto" && term.IsTerminal(int(os.Stderr.Fd()))
	to := func(w io.Writer) *slog.Logger { return c.to(w, asText).With("daemon", name) }
	stderr := newLines(os.Stderr, func(dropped int) []byte {
		var line bytes.Buffer
		loud := max(slog.LevelWarn, slog.Level(c.Level)) // whatever is asked for
		to(&line).Log(context.Background(), loud, "lines of the log were dropped", "lines", dropped)
		return line.Bytes()
	})
	log := to(stderr)
	slog.SetDefault(log)                               // net/http's
	if os.Getenv("GRPC_GO_LOG_SEVERITY_LEVEL") == "" { // who asks gRPC itself for more gets what it writes
		grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard,
			slog.NewLogLogger(log.Handler(), slog.LevelError).Writer()))
	}
	return log, stderr
}

// to makes the log that is written somewhere.
func (c *Log) to(w io.Writer, asText bool) *slog.Logger {
	options := &slog.HandlerOptions{Level: slog.Level(c.Level), ReplaceAttr: readable}
	if asText {
		return slog.New(slog.NewTextHandler(w, options))
	}
	return slog.New(logline.NewHandler(w, longestText, options))
}

// longestText bounds each text of a line, whoever made it up: 8 KiB is a stack.
const longestText = 9 << 10

// readable writes durations as people do, "1.5ms", in JSON too, and cuts what is too long for a line.
func readable(_ []string, a slog.Attr) slog.Attr {
	switch a.Value.Kind() {
	case slog.KindDuration:
		a.Value = slog.StringValue(logline.Duration(a.Value.Duration()))
	case slog.KindString:
		a.Value = slog.StringValue(rpc.Brief(a.Value.String(), longestText))
	case slog.KindAny:
		if err, ok := a.Value.Any().(error); ok {
			a.Value = slog.StringValue(rpc.Brief(err.Error(), longestText))
		}
	}
	return a
}
