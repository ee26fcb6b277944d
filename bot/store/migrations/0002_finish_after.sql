-- After how many steps, counted over all of its pictures, somebody wants a job finished.

ALTER TABLE jobs ADD COLUMN finish_after INTEGER;
