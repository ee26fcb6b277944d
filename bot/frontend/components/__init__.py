"""Buttons and modals."""
