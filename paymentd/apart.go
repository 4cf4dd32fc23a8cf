package main

import "slices"

// apart returns the commands that are so, and the others, in their order. Each is asked about once. Where all are the
// same, as nearly always, none is copied.
func apart(commands []command, so func(*command) bool) (those, others []command) {
	if len(commands) == 0 {
		return nil, nil
	}
	first, n := so(&commands[0]), 1
	for n < len(commands) && so(&commands[n]) == first {
		n++
	}
	same, rest := commands[:n:n], []command(nil)
	if n < len(commands) {
		rest = append(rest, commands[n])
	}
	for i := n + 1; i < len(commands); i++ {
		if so(&commands[i]) == first {
			same = append(same, commands[i])
		} else {
			rest = append(rest, commands[i])
		}
	}
	if first {
		return same, rest
	}
	return rest, same
}

// joined returns the commands of both, of which one is empty nearly always.
func joined(some, others []command) []command {
	if len(some) == 0 {
		return others
	}
	return append(some[:len(some):len(some)], others...)
}

// byDatabase keeps commands apart that mean different databases, in their order: one group nearly always.
func byDatabase(commands []command) (groups [][]command) {
	if !slices.ContainsFunc(commands, func(c command) bool { return c.meant != commands[0].meant }) {
		return [][]command{commands}
	}
	at := map[string]int{}
	for _, c := range commands {
		i, known := at[c.meant]
		if !known {
			i = len(groups)
			at[c.meant], groups = i, append(groups, nil)
		}
		groups[i] = append(groups[i], c)
	}
	return groups
}
