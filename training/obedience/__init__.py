"""Judges of what a prompt asks for beside its thing: style, number and relation. They never guide a picture."""
