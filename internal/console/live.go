package console

// live answers with what is under way now, and what became of the orders before.
func (c *Console) live(v *visit) error { return v.show("live", nil) }
