"""The version of Reverie."""

__version__ = "0.1.0"
