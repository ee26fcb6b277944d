"""Starts of a dream: noise, pictures, parents and composed pictures. Worker thread."""
