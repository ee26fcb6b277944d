-- The form of a job's message: text and embed, as all were before, or Components V2.
ALTER TABLE jobs ADD COLUMN layout TEXT NOT NULL DEFAULT 'classic';
