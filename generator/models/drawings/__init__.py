"""Drawings of things: stored as codes, as pixels, and their places in a picture."""
