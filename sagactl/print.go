package main

import (
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"hosho/internal/story"
	"hosho/internal/terminal"
)

// styles is how this program shows what a fact means.
var styles = map[story.Tone]terminal.Style{
	story.Neutral: terminal.Plain,
	story.Waiting: terminal.Yellow,
	story.Good:    terminal.Green,
	story.Over:    terminal.Bold,
	story.Bad:     terminal.Red,
}

// printJSON prints each message as JSON on a line of its own.
func printJSON[M proto.Message](screen *terminal.Terminal, messages ...M) error {
	for _, m := range messages {
		text, err := protojson.Marshal(m)
		if err != nil {
			return err
		}
		screen.Line("%s", text)
	}
	return nil
}
