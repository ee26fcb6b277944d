-- Jobs that were asked for together: shown as a count, begun when their owner confirms, summed up in one message.
-- `specs` are the requests before that, in JSON; `columns` and `rows` label the sheet of their pictures.
CREATE TABLE batches (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    guild_id INTEGER NOT NULL,
    channel_id INTEGER NOT NULL,
    user_id INTEGER NOT NULL,
    title TEXT NOT NULL,
    columns TEXT NOT NULL,
    rows TEXT NOT NULL,
    specs TEXT NOT NULL,
    length INTEGER NOT NULL,
    pictures INTEGER NOT NULL,
    private INTEGER NOT NULL,
    age_restricted INTEGER NOT NULL,
    locale TEXT NOT NULL,
    message_id INTEGER,
    thread_id INTEGER,
    begun INTEGER NOT NULL,
    told INTEGER NOT NULL,
    created_at REAL NOT NULL
) STRICT;

CREATE INDEX batches_by_user ON batches (user_id);

ALTER TABLE jobs ADD COLUMN batch_id INTEGER REFERENCES batches (id) ON DELETE SET NULL;
ALTER TABLE jobs ADD COLUMN batch_place INTEGER;

CREATE INDEX jobs_by_batch ON jobs (batch_id) WHERE batch_id IS NOT NULL;

-- Lists of a server from which prompts take words, one to a line.
CREATE TABLE wildcards (
    guild_id INTEGER NOT NULL,
    name TEXT NOT NULL COLLATE NOCASE,
    entries TEXT NOT NULL,
    PRIMARY KEY (guild_id, name)
) STRICT, WITHOUT ROWID;
