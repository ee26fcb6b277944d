"""The version of Reverie."""

__version__ = "0.4.3"
