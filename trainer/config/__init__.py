"""Settings as frozen dataclasses, their ranges, and the files and flags they are read from."""
