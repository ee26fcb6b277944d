"""The experiments' interface: imagine.ipynb and the widgets behind it."""
