"""A job's message: rendered, sent, updated."""
