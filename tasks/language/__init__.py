"""Generated tasks about text, one a file, each found by its name."""
