"""The Discord bot: commands, the fair queue and the worker thread. Importing it does not import torch."""
