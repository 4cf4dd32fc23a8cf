package bench

import (
	"context"
	"fmt"
)

// Calls is what a call of CreateOrder costs over HTTP, beside one over gRPC, of the same system.
type Calls struct {
	HTTP   Call    `json:"http"`
	Native Call    `json:"native"`       // the mean of those before and after
	Ratio  float64 `json:"ratio"`        // of the wholes
	Orderd float64 `json:"ratio_orderd"` // of orderd's part
}

// Call is the CPU time of a call, in microseconds, and of what has the order settled.
type Call struct {
	Whole  float64 `json:"whole"` // of the daemons and the databases, without the load generator
	Orderd float64 `json:"orderd"`
	Load   float64 `json:"load"` // the load generator: how dear this client is says nothing of the door
}

// throughTheDoor measures the load over HTTP between two of the same calls over gRPC, which show as well what the
// machine did meanwhile.
func (s *system) throughTheDoor(ctx context.Context) (Load, error) {
	before, err := s.native(ctx, "native, before")
	if err != nil || ctx.Err() != nil {
		return before, err
	}
	l, err := s.load(ctx, s.spec("http"))
	s.keep(l)
	s.about(l)
	if err != nil || ctx.Err() != nil {
		return l, err
	}
	after, err := s.native(ctx, "native, after")
	if err != nil || ctx.Err() != nil {
		return l, err
	}
	s.result.Calls = compareCalls(l, before, after)
	if s.result.Calls != nil {
		s.tell(s.result.Calls.String())
	}
	return l, nil
}

// native measures the calls over gRPC.
func (s *system) native(ctx context.Context, name string) (Load, error) {
	p := s.spec(name)
	p.mode = Create
	l, err := s.load(ctx, p)
	s.keep(l)
	return l, err
}

// compareCalls returns nil where CPU times are not known.
func compareCalls(http Load, natives ...Load) *Calls {
	c := &Calls{HTTP: callOf(http)}
	for _, l := range natives {
		one, share := callOf(l), 1/float64(len(natives))
		c.Native.Whole += share * one.Whole
		c.Native.Orderd += share * one.Orderd
		c.Native.Load += share * one.Load
	}
	if c.HTTP.Orderd == 0 || c.Native.Orderd == 0 {
		return nil
	}
	c.Ratio, c.Orderd = c.HTTP.Whole/c.Native.Whole, c.HTTP.Orderd/c.Native.Orderd
	return c
}

func callOf(l Load) Call {
	load := l.CPUOfCall["load"]
	return Call{Whole: l.CPUOfCall["total"] - load, Orderd: l.CPUOfCall["orderd"], Load: load}
}

// String tells it in a line.
func (c *Calls) String() string {
	http, native := c.HTTP, c.Native
	const line = "CPU us of a call: http %.0f (orderd %.0f), native %.0f (orderd %.0f), ratio %.2f (orderd %.2f); " +
		"the load generator's own, %.0f and %.0f, is apart"
	return fmt.Sprintf(line, http.Whole, http.Orderd, native.Whole, native.Orderd, c.Ratio, c.Orderd, http.Load,
		native.Load)
}
