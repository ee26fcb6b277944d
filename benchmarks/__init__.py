"""Speed, time to score, and service, each measured against a plain loop; see docs/performance.md."""
