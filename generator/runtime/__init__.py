"""Devices, number formats and the machine's resources."""
