"""How the starter models were made: data, VQGAN, perceptor, prior, judges, evaluation. Never imported at run time."""
