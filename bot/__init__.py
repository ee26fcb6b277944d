"""The Discord bot: commands, the fair queue and the thread that paints. Importing it brings in no torch."""
