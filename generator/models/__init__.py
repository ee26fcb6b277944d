"""Networks: VQGAN, CLIP, prior, and frozen layers. All but `lexicon` run on the worker thread that owns the models."""
