"""Local preview: the bot behind a page in the browser, without Discord."""
