"""The database's shape, as numbered SQL files that build on each other. See bot.store.connection."""
