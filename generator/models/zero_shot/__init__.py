"""Zero-shot classification: which of several sentences describes a picture best."""
