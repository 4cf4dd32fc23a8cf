package pg

// Need is what a program does with one table, and must have the rights and the columns for. Whoever adds a statement
// adds here what it needs: readiness asks for it.
type Need struct {
	Table  string
	Select []string // the columns that are read, also in a WHERE, an ON CONFLICT or a RETURNING
	Insert []string // the columns that are given a value
	Update []string // the columns that are set; a row is locked by the right to set any
	Delete bool
}
