"""Generated tasks about programs and queries, one a file, each found by its name."""
