-- Jobs in channels that the bot is not in, of people who installed it for themselves.
ALTER TABLE jobs ADD COLUMN by_token INTEGER NOT NULL DEFAULT 0;
