"""A script's own class on this engine: reading its fields, comparing its rules, running scripts."""
