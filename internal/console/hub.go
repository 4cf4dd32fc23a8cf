package console

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"time"
)

const (
	// frameInterval is the least time between two messages of a stream: a person takes in no more, and a browser is to
	// have time for other things.
	frameInterval = 300 * time.Millisecond
	// maxStreams is how many streams there are at most. A browser has one, however many windows it shows.
	maxStreams = 64
)

// regions are the parts of the live page that change by themselves, and stageRegions those of the stage's page, where
// there is a stage.
var (
	regions = []string{
		"asof", "summary", "ledger", "pace", "daemons", "pending", "way", "cancelling", "completed", "cancelled",
		"happened",
	}
	stageRegions = []string{"scene", "broken", "twin"}
)

// hub makes the live page anew for all who look at it, once for each language.
type hub struct {
	render  *renderer
	picture func() picture

	mu      sync.Mutex
	streams map[*view]int
	frames  map[*view]*frame
	made    chan struct{} // closed when there are new frames
}

// frame is the live page in one language at one moment. It does not change.
type frame struct {
	number  int64
	regions map[string]region
}

// region is a part of it, and the number of the frame with which it became what it is.
type region struct {
	text   string
	number int64
}

func newHub(render *renderer, picture func() picture) *hub {
	return &hub{
		render: render, picture: picture, streams: map[*view]int{}, frames: map[*view]*frame{},
		made: make(chan struct{}),
	}
}

// run makes frames by the ticks of a clock while somebody has a stream, until ctx ends.
func (h *hub) run(ctx context.Context, ticks <-chan time.Time) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticks:
			if err := h.tick(); err != nil {
				return err
			}
		}
	}
}

// tick makes one frame of each language that somebody reads.
func (h *hub) tick() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.streams) == 0 {
		return nil
	}
	p := h.picture()
	for v := range h.streams {
		f, err := v.frame(h.frames[v], p)
		if err != nil {
			return err
		}
		h.frames[v] = f
	}
	close(h.made)
	h.made = make(chan struct{})
	return nil
}

// frame makes the frame after another one.
func (v *view) frame(last *frame, p picture) (*frame, error) {
	f := &frame{number: 1, regions: map[string]region{}}
	if last != nil {
		f.number = last.number + 1
	}
	all := regions
	if p.Stage != nil {
		all = slices.Concat(regions, stageRegions)
	}
	for _, name := range all {
		text, err := v.part("live", name, p)
		if err != nil {
			return nil, err
		}
		r := region{string(text), f.number}
		if last != nil && last.regions[name].text == r.text {
			r = last.regions[name]
		}
		f.regions[name] = r
	}
	return f, nil
}

// after are the regions that have changed since a frame.
func (f *frame) after(number int64) map[string]string {
	changed := map[string]string{}
	for name, r := range f.regions {
		if r.number > number {
			changed[name] = r.text
		}
	}
	return changed
}

// join begins a stream of frames, which ends with leave.
func (h *hub) join(v *view) (leave func(), err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := 0
	for _, n := range h.streams {
		all += n
	}
	if all >= maxStreams {
		return nil, &problem{http.StatusServiceUnavailable, "problem.streams", []any{maxStreams}}
	}
	h.streams[v]++
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.streams[v]--; h.streams[v] == 0 {
			delete(h.streams, v)
			delete(h.frames, v) // the next one begins with a picture of then
		}
	}, nil
}

// next waits for a frame that is made from now on, and reports whether there is one before ctx ends.
func (h *hub) next(ctx context.Context, v *view) (*frame, bool) {
	h.mu.Lock()
	made := h.made
	h.mu.Unlock()
	select {
	case <-ctx.Done():
		return nil, false
	case <-made:
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	f, ok := h.frames[v]
	return f, ok
}
