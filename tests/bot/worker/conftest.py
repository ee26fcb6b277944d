"""The tiny models of the generator's own tests, and the environment for a cluster."""

from __future__ import annotations

import os
from pathlib import Path

from bot.worker.cluster.environment import TOKEN, prepare_environment
from tests.generator.conftest import ensemble, make_clip, models, one_thread, prior, vqgan, vqgan_config  # noqa: F401 - fixtures

# Ray reads it when a test module imports it.
os.environ.setdefault(TOKEN, "0123456789abcdef" * 4)
prepare_environment(os.environ, "127.0.0.1:0", Path.home())
