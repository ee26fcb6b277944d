"""The version of Reverie."""

__version__ = "0.3.1"
