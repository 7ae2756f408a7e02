"""Programs to read, each of them whole in one file."""
