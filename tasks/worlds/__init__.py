"""Tasks in which the world answers: one file each, found by its name."""
