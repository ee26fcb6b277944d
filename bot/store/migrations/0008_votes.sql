-- Pictures that a channel steers: each round makes variants, and ballots choose the one that goes on and its words.
-- `requester` is the person who asked, with roles and channels, in JSON. Rows are deleted when the vote ends.
CREATE TABLE votes (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    guild_id INTEGER NOT NULL,
    channel_id INTEGER NOT NULL,
    user_id INTEGER NOT NULL,
    requester TEXT NOT NULL,
    prompt TEXT NOT NULL,
    words TEXT NOT NULL,
    rounds INTEGER NOT NULL,
    round INTEGER NOT NULL,
    seconds INTEGER NOT NULL,
    steps INTEGER,
    role_id INTEGER,
    job_id INTEGER REFERENCES jobs (id) ON DELETE SET NULL,
    message_id INTEGER,
    ends_at REAL,
    created_at REAL NOT NULL
) STRICT;

CREATE TABLE ballots (
    vote_id INTEGER NOT NULL REFERENCES votes (id) ON DELETE CASCADE,
    user_id INTEGER NOT NULL,
    picture INTEGER,
    words INTEGER,
    PRIMARY KEY (vote_id, user_id)
) STRICT, WITHOUT ROWID;
