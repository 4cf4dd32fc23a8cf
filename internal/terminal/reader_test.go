package terminal_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"hosho/internal/terminal"
)

func TestAReaderWhoLeavesIsNoticed(t *testing.T) {
	t.Parallel()
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	left := make(chan bool)
	go func() { left <- terminal.New(writer, nil).AwaitLeaving(t.Context()) }()
	select {
	case <-left:
		t.Fatal("a reader who is there was taken for gone")
	default:
	}
	reader.Close()
	if !<-left {
		t.Error("got that nobody left, want it noticed")
	}
}

func TestAFileIsAlwaysRead(t *testing.T) {
	t.Parallel()
	file, err := os.Create(filepath.Join(t.TempDir(), "output"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan bool)
	go func() { left <- terminal.New(file, nil).AwaitLeaving(ctx) }()
	cancel()
	if <-left {
		t.Error("got that the reader of a file left")
	}
}
