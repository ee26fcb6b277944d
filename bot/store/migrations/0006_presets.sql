-- Options of a picture under a name, as words of a prompt: of a person for every server, and of a server for everybody.
CREATE TABLE person_presets (
    user_id INTEGER NOT NULL,
    name TEXT NOT NULL COLLATE NOCASE,
    options TEXT NOT NULL,
    PRIMARY KEY (user_id, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE guild_presets (
    guild_id INTEGER NOT NULL,
    name TEXT NOT NULL COLLATE NOCASE,
    options TEXT NOT NULL,
    PRIMARY KEY (guild_id, name)
) STRICT, WITHOUT ROWID;
