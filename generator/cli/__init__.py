"""Command line: `python -m generator`. Everything here runs on the main thread."""
