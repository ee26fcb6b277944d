"""Metrics, their HTTP endpoint and the heartbeat file."""
