"""Decisions of those who manage a server about other people's pictures and jobs."""
