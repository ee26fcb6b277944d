"""Discord frontend: commands, buttons and messages. The only package that imports discord; event loop."""
