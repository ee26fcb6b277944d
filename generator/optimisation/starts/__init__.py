"""Starts of a dream: noise, pictures, parents, and what the prior paints. Worker thread."""
