"""Devices, number formats and the machine's resources.

`device`, `graphs` and `precision` run on the worker thread that owns the models, the others on any thread.
"""
