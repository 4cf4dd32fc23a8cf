// Package doctest holds the documentation against the programs. It is nothing but tests.
//
// Its promise: every command of README.md, README.ja.md and doc/ was run as it is written, page by page, each page in a
// shell of its own, on a system that `sagactl up` started; and where a page shows what a command prints, that is what
// it printed. curl is the machine's own, and finds that system's JSON door at localhost:8000.
//
// What a block's fence says:
//
//	sh           it runs, in order; the first command that fails fails the test
//	sh long      it takes long: only its verbs, flags and targets are checked
//	sh docker    it needs Docker: only services, files and what runs inside are checked
//	text, json   right after sh: its output. Ids, times, durations, addresses may differ; "..." stands for any lines,
//	             or for any text in a line. Where the lines of json end is all the same
//	text example is not compared, and neither is json example
//	conf         a part of a server's file: the test that is named beside it takes it from there
package doctest
