"""Files of jobs: films and their parts, and what fits into an upload."""
