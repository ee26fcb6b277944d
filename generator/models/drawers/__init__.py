"""Drawers: kinds of pictures that can be optimised, behind one interface."""
