-- Reported pictures with a copy of picture and prompt, which outlives the job until the report is resolved.

CREATE TABLE reported_pictures (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    guild_id INTEGER NOT NULL,
    channel_id INTEGER NOT NULL,
    message_id INTEGER,
    job_id INTEGER NOT NULL,
    number INTEGER NOT NULL,
    user_id INTEGER NOT NULL,
    prompt TEXT NOT NULL,
    picture BLOB,
    created_at REAL NOT NULL,
    notice_channel_id INTEGER,
    notice_id INTEGER,
    UNIQUE (job_id, number)
) STRICT;

CREATE INDEX reported_pictures_by_guild ON reported_pictures (guild_id, id);
CREATE INDEX reported_pictures_by_user ON reported_pictures (user_id);

ALTER TABLE reports RENAME TO reports_before;

CREATE TABLE reports (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    picture_id INTEGER NOT NULL REFERENCES reported_pictures (id) ON DELETE CASCADE,
    user_id INTEGER NOT NULL,
    reason TEXT NOT NULL,
    details TEXT NOT NULL,
    locale TEXT NOT NULL,
    wants_result INTEGER NOT NULL,
    created_at REAL NOT NULL,
    UNIQUE (picture_id, user_id)
) STRICT;

INSERT INTO reported_pictures (guild_id, channel_id, message_id, job_id, number, user_id, prompt, created_at)
SELECT jobs.guild_id, jobs.channel_id, jobs.message_id, job_id, number, jobs.user_id, jobs.prompt,
    min(reports_before.created_at)
FROM reports_before JOIN jobs ON jobs.id = job_id GROUP BY job_id, number;

INSERT INTO reports (picture_id, user_id, reason, details, locale, wants_result, created_at)
SELECT reported_pictures.id, reports_before.user_id, reason, details, 'en', 0, reports_before.created_at
FROM reports_before JOIN reported_pictures USING (job_id, number) ORDER BY reports_before.id;

DROP TABLE reports_before;

CREATE INDEX reports_by_user ON reports (user_id);

-- People who may not ask for pictures in a server.
CREATE TABLE blocked_people (
    guild_id INTEGER NOT NULL,
    user_id INTEGER NOT NULL,
    created_at REAL NOT NULL,
    PRIMARY KEY (guild_id, user_id)
) STRICT, WITHOUT ROWID;
