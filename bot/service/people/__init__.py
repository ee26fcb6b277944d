"""People: their own settings and their personal data."""
