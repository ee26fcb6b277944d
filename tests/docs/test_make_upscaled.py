"""An upscaler in ncnn's files is read as the state dict that its authors publish."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
import torch

from docs.make_upscaled import state_dict
from tests.generator.models.test_upscaler import network, saved


def test_an_upscaler_in_ncnns_files_has_the_weights_of_its_authors_file(tmp_path: Path) -> None:
    published = torch.load(saved(tmp_path / "x.pth", network("ESRGAN", scale=4).half().float()))["params_ema"]
    lines, data = ["7767517", "99 99", "Input in 0 1 data"], b""
    for name in [key.removesuffix(".weight") for key in published if key.endswith(".weight")]:
        kernel = published[f"{name}.weight"]
        lines.append(f"Convolution {name} 1 1 a b 0={len(kernel)} 1=3 4=1 5=1 6={kernel.numel()}")
        half = kernel.half().numpy().tobytes()
        data += struct.pack("<I", 0x01306B47) + half + bytes(-len(half) % 4)
        data += published[f"{name}.bias"].numpy().tobytes()
    (tmp_path / "x.param").write_text("\n".join(lines), "ascii")
    (tmp_path / "x.bin").write_bytes(data)
    read = state_dict(tmp_path / "x.param", tmp_path / "x.bin")
    assert read.keys() == published.keys() and all(torch.equal(read[name], published[name]) for name in read)
    (tmp_path / "x.bin").write_bytes(data + bytes(4))
    with pytest.raises(ValueError, match="4 bytes are left"):
        state_dict(tmp_path / "x.param", tmp_path / "x.bin")
