"""GPU test and benchmark: all of Reverie that uses a GPU: `python -m benchmarks.gpu`."""
