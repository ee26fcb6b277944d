-- The channel that everybody in the server could see when the picture was asked for there or in a thread of it; NULL
-- where that is not so, or not known.
ALTER TABLE jobs ADD COLUMN public_channel_id INTEGER;
-- 1 if the safety check looked at the picture.
ALTER TABLE pictures ADD COLUMN checked INTEGER NOT NULL DEFAULT 0;

-- With the prompt in it, a search reads this index alone.
CREATE INDEX jobs_on_web ON jobs (guild_id, id, public_channel_id, channel_id, prompt)
    WHERE state = 'done' AND private = 0 AND age_restricted = 0
    AND message_id IS NOT NULL AND public_channel_id IS NOT NULL;
