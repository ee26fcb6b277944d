-- Ids of Discord are 64-bit integers; times are seconds since 1970, days are texts such as 2026-11-23 (UTC).

CREATE TABLE jobs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'posting', 'done', 'cancelled', 'failed')),
    guild_id INTEGER NOT NULL,
    channel_id INTEGER NOT NULL,
    user_id INTEGER NOT NULL,
    message_id INTEGER,
    origin TEXT NOT NULL,
    parent_id INTEGER REFERENCES jobs (id) ON DELETE SET NULL,
    parent_number INTEGER,
    priority INTEGER NOT NULL,
    count INTEGER NOT NULL CHECK (count BETWEEN 1 AND 4),
    prompt TEXT NOT NULL,
    settings TEXT NOT NULL,
    models TEXT NOT NULL,
    private INTEGER NOT NULL,
    timelapse INTEGER NOT NULL,
    age_restricted INTEGER NOT NULL,
    locale TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    reason TEXT,
    waiting_since REAL,
    post_tries INTEGER NOT NULL DEFAULT 0,
    told INTEGER NOT NULL DEFAULT 0,
    created_at REAL NOT NULL,
    started_at REAL,
    painted_at REAL,
    ended_at REAL,
    paint_s REAL NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX jobs_by_state ON jobs (state, guild_id, user_id);
CREATE INDEX jobs_untold ON jobs (id) WHERE told = 0;
CREATE INDEX jobs_by_owner ON jobs (guild_id, user_id, id);
CREATE INDEX jobs_by_user ON jobs (user_id);
CREATE INDEX jobs_by_message ON jobs (message_id) WHERE message_id IS NOT NULL;
CREATE INDEX jobs_by_parent ON jobs (parent_id) WHERE parent_id IS NOT NULL;
CREATE INDEX jobs_by_end ON jobs (guild_id, ended_at) WHERE ended_at IS NOT NULL;

-- The whole request as the generator's recipe; apart from the row, since it can hold pictures.
CREATE TABLE recipes (
    job_id INTEGER PRIMARY KEY REFERENCES jobs (id) ON DELETE CASCADE,
    recipe TEXT NOT NULL
) STRICT;

CREATE TABLE pictures (
    job_id INTEGER NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    number INTEGER NOT NULL CHECK (number BETWEEN 1 AND 4),
    seed INTEGER NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    similarity REAL NOT NULL,
    steps INTEGER NOT NULL,
    stopped_at INTEGER,
    flagged INTEGER NOT NULL,
    has_timelapse INTEGER NOT NULL,
    warnings TEXT NOT NULL,
    PRIMARY KEY (job_id, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE reports (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id INTEGER NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    user_id INTEGER NOT NULL,
    reason TEXT NOT NULL,
    details TEXT NOT NULL,
    created_at REAL NOT NULL,
    UNIQUE (job_id, number, user_id)
) STRICT;

CREATE INDEX reports_by_user ON reports (user_id);

-- What the admins of a server set; a name without a row has the host's default.
CREATE TABLE guild_settings (
    guild_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (guild_id, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE role_limits (
    guild_id INTEGER NOT NULL,
    role_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    value INTEGER NOT NULL,
    PRIMARY KEY (guild_id, role_id, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE channel_rules (
    guild_id INTEGER NOT NULL,
    channel_id INTEGER NOT NULL,
    allowed INTEGER NOT NULL,
    PRIMARY KEY (guild_id, channel_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE styles (
    guild_id INTEGER NOT NULL,
    name TEXT NOT NULL COLLATE NOCASE,
    text TEXT NOT NULL,
    PRIMARY KEY (guild_id, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE block_rules (
    guild_id INTEGER NOT NULL,
    rule TEXT NOT NULL,
    PRIMARY KEY (guild_id, rule)
) STRICT, WITHOUT ROWID;

-- For quotas and cooldowns; rows go after two days.
CREATE TABLE usage (
    guild_id INTEGER NOT NULL,
    user_id INTEGER NOT NULL,
    day TEXT NOT NULL,
    pictures INTEGER NOT NULL,
    last_at REAL NOT NULL,
    PRIMARY KEY (guild_id, user_id, day)
) STRICT, WITHOUT ROWID;

-- Sums without people in them, for /stats; they outlive the jobs.
CREATE TABLE daily (
    guild_id INTEGER NOT NULL,
    day TEXT NOT NULL,
    pictures INTEGER NOT NULL DEFAULT 0,
    cancelled INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0,
    paint_s REAL NOT NULL DEFAULT 0,
    started INTEGER NOT NULL DEFAULT 0,
    waited_s REAL NOT NULL DEFAULT 0,
    waited_most_s REAL NOT NULL DEFAULT 0,
    PRIMARY KEY (guild_id, day)
) STRICT, WITHOUT ROWID;

-- Measured seconds per step, for the estimates.
CREATE TABLE speeds (
    models TEXT NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    cutouts INTEGER NOT NULL,
    step_s REAL NOT NULL,
    PRIMARY KEY (models, width, height, cutouts)
) STRICT, WITHOUT ROWID;

-- Things that must be the same after a restart, such as the digest of the commands that Discord knows.
CREATE TABLE notes (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
