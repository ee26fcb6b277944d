"""Training of the starter models: data, VQGAN, perceptor, prior, judges, evaluation. Never imported at run time."""
