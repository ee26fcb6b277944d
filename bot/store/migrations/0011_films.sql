-- Length of a film in seconds; 0 for pictures.
ALTER TABLE jobs ADD COLUMN film_s REAL NOT NULL DEFAULT 0;
