// Package layout says which package of hosho may import which. It has no code of its own: its test holds the table and
// checks every source file against it.
//
// Its promise: main -> server -> database -> domain, and nothing points back up. Orders and payments meet in the
// contract alone, the outbox knows neither of them, and gRPC's codes are given in one file of each daemon. A new
// package must say where it belongs before it passes.
package layout
