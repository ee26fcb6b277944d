"""Everything that Reverie does on a GPU, tried and measured in one command: `python -m benchmarks.gpu`."""
