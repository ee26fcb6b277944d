"""Workers as processes of a Ray cluster, on one machine or on many. Only `bot.worker.kinds` imports it, if asked to."""
