"""Commands for many pictures at once, and for many people."""
