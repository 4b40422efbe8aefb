"""Generated tasks of mathematics, one a file, each found by its name."""
