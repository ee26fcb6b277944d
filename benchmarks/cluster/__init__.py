"""Benchmark of workers on Ray; see `benchmarks.cluster.__main__`."""
