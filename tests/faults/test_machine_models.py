"""Model files that are removed, shortened or overwritten while the weights are in use."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
LOADED = """
import os, sys
from pathlib import Path
import torch, safetensors.torch
from generator.loading import read_tensors
folder = Path(sys.argv[1])
for name, harm in {
    "shortened": lambda path: os.truncate(path, 1_000),
    "removed": lambda path: path.unlink(),
    "over": lambda path: path.write_bytes(bytes(path.stat().st_size)),
}.items():
    path = folder / f"{name}.safetensors"
    safetensors.torch.save_file({"a": torch.ones(1_000_000)}, path)
    mine = read_tensors(path)["a"]
    harm(path)
    assert mine.sum() == 1_000_000, name
"""


async def test_weights_that_are_loaded_do_not_need_their_file_any_more(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", LOADED, str(tmp_path), cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    assert await process.wait() == 0
