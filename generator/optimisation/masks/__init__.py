"""Masks: pictures of which only a region is repainted."""
