"""The version of Reverie."""

__version__ = "0.2.0"
