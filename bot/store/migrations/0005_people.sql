-- Settings that people chose for themselves, for every server; a name without a row has its default.
CREATE TABLE person_settings (
    user_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (user_id, name)
) STRICT, WITHOUT ROWID;

-- Pictures that a person marked with a heart.
CREATE TABLE favourites (
    user_id INTEGER NOT NULL,
    job_id INTEGER NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    added_at REAL NOT NULL,
    PRIMARY KEY (user_id, job_id, number)
) STRICT, WITHOUT ROWID;

CREATE INDEX favourites_by_job ON favourites (job_id);

-- Whether the owner of a finished job is still to be pinged, and the message that did it.
ALTER TABLE jobs ADD COLUMN ping_due INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN ping_id INTEGER;

CREATE INDEX jobs_ping_due ON jobs (id) WHERE ping_due = 1;

-- The picture whose button or menu was used; unlike the parent, also where the new job does not begin with its latent.
ALTER TABLE jobs ADD COLUMN source_id INTEGER REFERENCES jobs (id) ON DELETE SET NULL;
ALTER TABLE jobs ADD COLUMN source_number INTEGER;

UPDATE jobs SET source_id = parent_id, source_number = parent_number;

CREATE INDEX jobs_by_source ON jobs (source_id) WHERE source_id IS NOT NULL;
