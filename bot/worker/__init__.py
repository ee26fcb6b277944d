"""The worker: one thread that owns the models and generates one picture after the other."""
