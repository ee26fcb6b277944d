-- Seconds of a film that the job which it continues had made; 0 for others.
ALTER TABLE jobs ADD COLUMN film_done_s REAL NOT NULL DEFAULT 0;
