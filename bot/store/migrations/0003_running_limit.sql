-- How many jobs of its owner may be painted at once: the owner's roles are known only when the job is asked for.

ALTER TABLE jobs ADD COLUMN running_limit INTEGER NOT NULL DEFAULT 1;
