"""The GPU part of the starter's training, within a bound of time: `python -m training.gpu FILE`."""
