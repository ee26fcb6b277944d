"""Loss functions, each with its source: of prompts, of the latent and of the picture itself.

None of them reads a value back to the host, so a GPU can capture all of them: weights and stops of prompts are tensors,
and weights from the settings are constants of the captured step.
"""
