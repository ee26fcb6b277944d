"""Submission of jobs: one at a time, or many that belong together."""
