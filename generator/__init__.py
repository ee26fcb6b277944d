"""Text becomes a picture. These are the public names; importing them imports torch only for those that need it.

A name is looked up in its module at its first use (PEP 562), so `import generator` is quick and free of torch.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING

from generator.processor import multiplies_bfloat16

__version__ = "0.1.0"

# Where a CPU computes in float32, torch's threads are to sleep when they wait, for they are not the only ones (see
# generator.winograd); elsewhere they may spin for a moment. OpenMP reads this once, when torch is loaded; whoever sets
# it decides.
if not multiplies_bfloat16():
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

if TYPE_CHECKING:
    from generator.apart import normalise_apart
    from generator.checkpoints.catalogue import model_names
    from generator.checkpoints.condition import Condition, ModelFile, look_at_set
    from generator.dream import Dream
    from generator.errors import Cancelled, CheckpointError, GeneratorError, InvalidRequest, OutOfMemory
    from generator.foresight import foresee
    from generator.host_memory import HostMemory, look_at_memory
    from generator.images import encode, normalise, write_file
    from generator.machine import GPU, Machine, look_at_machine
    from generator.made_with import MadeWith, differences, made_here
    from generator.memory import gpu_memory
    from generator.models import Models, load_models
    from generator.own_models import OwnModels
    from generator.prompts import MAX_PROMPT_CHARACTERS, Scene, TextPrompt, explain_story, parse_story
    from generator.recipe import (
        Recipe,
        read_recipe,
        recipe_from_json,
        recipe_to_json,
        request_from_json,
        request_to_json,
    )
    from generator.request import GenerationRequest, ImagePrompt, Picture, Progress, PromptLoss
    from generator.safety import unsafe_share
    from generator.sentences import Message
    from generator.settings import Settings, Size, read_setting
    from generator.snapshot import latent_of
    from generator.timelapse import Timelapse

_MODULES = {
    "apart": ("normalise_apart",),
    "checkpoints.condition": ("Condition", "ModelFile", "look_at_set"),
    "checkpoints.catalogue": ("model_names",),
    "dream": ("Dream",),
    "errors": ("Cancelled", "CheckpointError", "GeneratorError", "InvalidRequest", "OutOfMemory"),
    "host_memory": ("HostMemory", "look_at_memory"),
    "images": ("encode", "normalise", "write_file"),
    "machine": ("GPU", "Machine", "look_at_machine"),
    "memory": ("gpu_memory",),
    "models": ("Models", "load_models"),
    "foresight": ("foresee",),
    "prompts": ("MAX_PROMPT_CHARACTERS", "Scene", "TextPrompt", "explain_story", "parse_story"),
    "own_models": ("OwnModels",),
    "made_with": ("MadeWith", "differences", "made_here"),
    "recipe": (
        "Recipe",
        "read_recipe",
        "recipe_from_json",
        "recipe_to_json",
        "request_from_json",
        "request_to_json",
    ),
    "request": ("GenerationRequest", "ImagePrompt", "Picture", "Progress", "PromptLoss"),
    "safety": ("unsafe_share",),
    "sentences": ("Message",),
    "settings": ("Settings", "Size", "read_setting"),
    "snapshot": ("latent_of",),
    "timelapse": ("Timelapse",),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "GPU",
    "MAX_PROMPT_CHARACTERS",
    "Cancelled",
    "CheckpointError",
    "Condition",
    "Dream",
    "GenerationRequest",
    "GeneratorError",
    "HostMemory",
    "ImagePrompt",
    "InvalidRequest",
    "Machine",
    "MadeWith",
    "Message",
    "ModelFile",
    "Models",
    "OutOfMemory",
    "OwnModels",
    "Picture",
    "Progress",
    "PromptLoss",
    "Recipe",
    "Scene",
    "Settings",
    "Size",
    "TextPrompt",
    "Timelapse",
    "__version__",
    "differences",
    "encode",
    "explain_story",
    "foresee",
    "gpu_memory",
    "latent_of",
    "load_models",
    "look_at_machine",
    "look_at_memory",
    "look_at_set",
    "made_here",
    "model_names",
    "normalise",
    "normalise_apart",
    "parse_story",
    "read_recipe",
    "read_setting",
    "recipe_from_json",
    "recipe_to_json",
    "request_from_json",
    "request_to_json",
    "unsafe_share",
    "write_file",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'generator' has no attribute {name!r}")
    value: object = getattr(import_module(f"generator.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
