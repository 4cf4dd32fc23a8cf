package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"hosho/internal/proc"
)

// Console is what a console costs that somebody looks at.
type Console struct {
	Orderd   []float64 `json:"orderd_us_per_saga"`        // in each round, while somebody looks
	Unseen   []float64 `json:"orderd_us_per_saga_unseen"` // in the same rounds, while nobody does
	Ratio    float64   `json:"ratio"`                     // the median of both, one by the other
	Messages float64   `json:"messages_per_second"`       // that the page was sent
	Most     int       `json:"most_messages_in_a_second"` // that began with a message
	Largest  int       `json:"largest_message_bytes"`     //
}

// consoleRounds is how often the load is measured each way.
const consoleRounds = 3

// console measures the load while nobody looks at a console, and while somebody does, in turns.
func (s *system) console(ctx context.Context) error {
	c := &Console{}
	var ratios []float64
	for round := range consoleRounds {
		unseen, err := s.load(ctx, s.spec(fmt.Sprintf("nobody looks, %d", round+1)))
		s.keep(unseen)
		if err != nil || ctx.Err() != nil {
			return err
		}
		seen, err := s.seen(ctx, c, round+1)
		if err != nil || ctx.Err() != nil {
			return ignoreEnd(ctx, err)
		}
		c.Orderd, c.Unseen = append(c.Orderd, seen.CPU["orderd"]), append(c.Unseen, unseen.CPU["orderd"])
		if unseen.CPU["orderd"] > 0 {
			ratios = append(ratios, seen.CPU["orderd"]/unseen.CPU["orderd"])
		}
		s.about(seen)
	}
	if len(ratios) > 0 {
		slices.Sort(ratios)
		c.Ratio = ratios[len(ratios)/2]
	}
	s.result.Console = c
	s.tell(c.String())
	return nil
}

// String tells what it costs.
func (c *Console) String() string {
	return fmt.Sprintf("with a console that somebody looks at: orderd takes %.0f us a saga, %.0f while nobody does: "+
		"%+.1f %% (the median of %d pairs); the page had %.1f messages/s, %d in a second at most, of %d bytes at most",
		median(c.Orderd), median(c.Unseen), 100*(c.Ratio-1), len(c.Orderd), c.Messages, c.Most, c.Largest)
}

func median(of []float64) float64 {
	if len(of) == 0 {
		return 0
	}
	of = slices.Sorted(slices.Values(of))
	return of[len(of)/2]
}

// seen measures the load while somebody looks.
func (s *system) seen(ctx context.Context, c *Console, round int) (l Load, err error) {
	program, address, err := s.startConsole()
	if err != nil {
		return l, err
	}
	defer func() {
		program.Signal(syscall.SIGTERM)
		<-program.Exited()
	}()
	looking, leave := context.WithCancel(ctx)
	defer leave()
	reader := &reader{}
	var done sync.WaitGroup
	done.Go(func() { err = errors.Join(err, ignoreEnd(looking, reader.read(looking, address+"events"))) })
	l, loadErr := s.load(ctx, s.spec(fmt.Sprintf("somebody looks, %d", round)))
	s.keep(l)
	leave()
	done.Wait()
	c.Messages, c.Most, c.Largest = reader.perSecond(), max(c.Most, reader.most()), max(c.Largest, reader.largest)
	return l, errors.Join(loadErr, err)
}

// firstPage tells how long the pages of a console take that nobody has looked at before, and that of the order that was
// placed last.
func (s *system) firstPage(ctx context.Context) error {
	var id string
	if err := s.orders.QueryRow(ctx, `SELECT id::text FROM orders ORDER BY id DESC LIMIT 1`).Scan(&id); err != nil {
		return err
	}
	program, address, err := s.startConsole()
	if err != nil {
		return err
	}
	defer func() {
		program.Signal(syscall.SIGTERM)
		<-program.Exited()
	}()
	for _, path := range []string{"", "person", "orders/" + id} {
		began := time.Now()
		response, err := http.Get(address + path)
		if err == nil {
			_, err = io.Copy(io.Discard, response.Body)
			response.Body.Close()
		}
		if err != nil {
			return err
		}
		s.tell(fmt.Sprintf("the console's page /%s: %s in %v", path, response.Status,
			time.Since(began).Round(100*time.Microsecond)))
	}
	return nil
}

// startConsole runs `sagactl console` beside the system, and returns where it is.
func (s *system) startConsole() (program *proc.Child, address string, err error) {
	relays := make([]string, len(s.Relays))
	for i, r := range s.Relays {
		relays[i] = r.Address
	}
	cmd := exec.Command(filepath.Join(s.config.Bin, "sagactl"), "console", "--read-only", "--listen", "127.0.0.1:0",
		"--orderd", s.Orderd.Address, "--paymentd", s.Paymentd.Address, "--relay", strings.Join(relays, ","))
	var said strings.Builder
	cmd.Stderr = &said
	output, into, err := os.Pipe()
	if err != nil {
		return nil, "", err
	}
	cmd.Stdout = into
	program, err = proc.Start(cmd, syscall.SIGKILL)
	into.Close()
	if err != nil {
		return nil, "", errors.Join(err, output.Close())
	}
	lines := bufio.NewScanner(output)
	for lines.Scan() {
		if address, found := strings.CutPrefix(lines.Text(), "CONSOLE="); found {
			go func() { _, _ = io.Copy(io.Discard, output); output.Close() }() // until it ends
			return program, strings.Trim(address, `'"`), nil
		}
	}
	err = program.Err()
	err = errors.Join(fmt.Errorf("sagactl console said no CONSOLE=: %s", said.String()), err)
	return nil, "", errors.Join(err, output.Close())
}

// reader reads the stream of a page, as a browser does.
type reader struct {
	began   time.Time
	at      []time.Time // of each message
	largest int
}

func (r *reader) read(ctx context.Context, address string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	request.Header.Set("Accept", "text/event-stream")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", address, response.Status)
	}
	r.began = time.Now()
	lines := bufio.NewReader(response.Body)
	for size := 0; ; {
		line, err := lines.ReadString('\n')
		if err != nil {
			return err
		}
		if size += len(line); line == "\n" {
			r.at, r.largest, size = append(r.at, time.Now()), max(r.largest, size), 0
		}
	}
}

func (r *reader) perSecond() float64 {
	return float64(len(r.at)) / time.Since(r.began).Seconds()
}

// most is how many messages came within a second after one of them.
func (r *reader) most() (most int) {
	for i, from := range r.at {
		n := 0
		for n = i; n < len(r.at) && r.at[n].Sub(from) < time.Second; n++ {
		}
		most = max(most, n-i)
	}
	return most
}
