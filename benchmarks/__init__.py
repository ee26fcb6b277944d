"""Benchmarks: speed, time to score, and service, each against a plain loop; see docs/performance.md."""
