"""The optimisation loop of VQGAN+CLIP. Every module here runs on the worker thread that owns the models."""
