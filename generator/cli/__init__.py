"""Command line: `python -m generator`."""
