package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"time"
)

const (
	headersTimeout = 5 * time.Second  // to send the headers of a request
	requestTimeout = 10 * time.Second // to send all of it
	answerTimeout  = 30 * time.Second // to be answered; a stream has one for each message
	idleTimeout    = time.Minute
	maxHeaders     = 16 << 10 // bytes
)

// Serve answers what comes to a listener until ctx ends, and then ends all streams.
func (c *Console) Serve(ctx context.Context, listener net.Listener) error {
	server := &http.Server{
		Handler: c, ReadHeaderTimeout: headersTimeout, ReadTimeout: requestTimeout, WriteTimeout: answerTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaders,
		ErrorLog:    log.New(io.Discard, "", 0), // of clients that break off
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	defer c.looks.stop()
	stopped := context.AfterFunc(ctx, func() { _ = server.Close() }) // whoever is still there is told nothing any more
	defer stopped()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the console: %w", err)
	}
	return nil
}
