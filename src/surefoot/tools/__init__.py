"""Tools: the one road to a tool (`gateway`), and how its function is run so that a timeout stops it."""
