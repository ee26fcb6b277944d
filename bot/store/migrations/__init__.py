"""Database schema, as numbered SQL files that build on each other. See bot.store.connection."""
