"""Drawings of the training data, by source: emoji, icon sets and clip art."""
