// Package alerttest holds what is in observe/ against Prometheus: promtool, and the parser of its own source. It is a
// module of its own, so that the project does not depend on what it needs for that.
//
// Its promise: every alert has its cases, which promtool runs, and its entry in the runbook; and every metric and every
// label that an alert or a panel of the dashboard names is told by the daemons of a real run.
package alerttest
