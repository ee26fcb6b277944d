"""The side of Discord: commands, buttons and messages. The only package that imports discord; event loop."""
