"""The optimisation loop of VQGAN+CLIP.

All but `request_warnings` and `schedule` run on the worker thread that owns the models.
"""
