"""Networks: VQGAN, CLIP, prior, and the frozen layers they are computed with."""
