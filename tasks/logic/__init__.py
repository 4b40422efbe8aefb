"""Generated tasks of logic, one a file, each found by its name."""
