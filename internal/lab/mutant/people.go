package mutant

import "hosho/internal/rules"

// The mistakes of systems that trust the people who run them.

var misconfiguredIsPoison = Mutant{
	Name:   "misconfigured-is-poison",
	Breaks: "a right, a table or a password that is missing is answered INTERNAL, as if the order were at fault",
	Needs:  "rights that are taken away, and a password that is changed",
	Faults: []string{"misconfigured"},
	Oracle: []rules.ID{rules.Fault, rules.Definite},
	Edits: []Edit{
		{
			File: "internal/pg/fault.go",
			Old:  `fault == Unexpected && errors.As(err, &connect)`,
			New:  `false`,
		},
		{
			File: "internal/pg/fault.go",
			Old:  `	case misconfigured(err):`,
			New:  `	case false && misconfigured(err):`,
		},
	},
}
