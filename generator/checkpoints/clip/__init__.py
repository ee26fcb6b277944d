"""CLIPs in published files: their configuration, the layouts of their tensors, and a check that they fit."""
