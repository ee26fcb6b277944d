"""Notations: colours, regions and keyframes, as text in one canonical form."""
