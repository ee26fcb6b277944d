"""Cost of networks that the starter does without: `python -m benchmarks.networks`.

Upscalers enlarge a picture, and perceptors look at twelve cutouts and send their gradient back, as in a step. All have
the shapes of published ones and random weights, as speed does not depend on the values. They take turns, so that a busy
machine disturbs all alike.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import torch
from PIL import Image

from benchmarks.cases import VIT_B_32
from benchmarks.report import conditions, options, spread, wait_for, write_report
from generator.models.clip import CLIP, Perceptor
from generator.models.towers.convnext import ConvNeXt
from generator.models.upscaler import Upscaler

CUTOUTS = 12
SIDE_PX = 192
"""Side of the picture that is enlarged: one square."""
VIT_L_14 = {
    **VIT_B_32, "embed_dim": 768, "vision_layers": 24, "vision_width": 1024, "vision_patch_size": 14,
    "transformer_layers": 1,
}  # fmt: skip


def perceptors(device: str) -> dict[str, Callable[[], None]]:
    """A look and its gradient, by the name of the perceptor; without their text towers, which look once only."""
    base = CLIP(**{**VIT_B_32, "transformer_layers": 1})
    convnext = CLIP(**{**VIT_B_32, "embed_dim": 640, "transformer_layers": 1})
    convnext.visual = ConvNeXt((3, 3, 27, 3), (128, 256, 512, 1024), 640, None, 256)
    found = {"ViT-B-32": base, "convnext_base_w": convnext, "ViT-L-14": CLIP(**VIT_L_14)}
    return {name: _look(Perceptor(model, name, device=device)) for name, model in found.items()}


def _look(perceptor: Perceptor) -> Callable[[], None]:
    side = perceptor.resolution
    cutouts = torch.rand(CUTOUTS, 3, side, side, device=perceptor.device, requires_grad=True)

    def look() -> None:
        torch.autograd.grad(perceptor.embed_images(cutouts).sum(), cutouts)

    return look


def upscalers(device: str) -> dict[str, Callable[[], None]]:
    """An enlargement, by the name of the upscaler."""
    from spandrel.architectures.Compact import Compact
    from spandrel.architectures.ESRGAN import ESRGAN

    networks = {
        "realesr-general-x4v3": Compact(num_in_ch=3, num_out_ch=3, num_feat=64, num_conv=32, upscale=4),
        "RealESRGAN_x4plus_anime_6B": ESRGAN(num_blocks=6),
        "RealESRGAN_x2plus": ESRGAN(in_nc=12, shuffle_factor=2),
        "RealESRGAN_x4plus": ESRGAN(),
    }
    picture = Image.effect_noise((SIDE_PX, SIDE_PX), 60).convert("RGB")

    def enlargement(name: str) -> Callable[[], None]:
        upscaler = Upscaler(name, networks[name].state_dict(), torch.device(device), {})
        return lambda: (upscaler.enlarge(picture), None)[1]

    return {name: enlargement(name) for name in networks}


def main(arguments: list[str]) -> int:
    """Measure all networks and write the report."""
    parser = options(__doc__, "networks.json")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each")
    args = parser.parse_args(arguments)
    about = conditions(args.threads, args.device)
    torch.set_num_threads(args.threads)
    works = {**perceptors(args.device), **upscalers(args.device)}
    seconds: dict[str, list[float]] = {name: [] for name in works}
    cpu: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(args.rounds):
        for name, work in works.items():
            started, started_cpu = time.perf_counter(), time.process_time()
            work()
            wait_for(args.device)
            seconds[name].append(time.perf_counter() - started)
            cpu[name].append(time.process_time() - started_cpu)
    rows = [[name, spread(seconds[name]), spread(cpu[name])] for name in works]
    write_report(args.json, about, ["network", "seconds", "CPU seconds"], rows, {"seconds": seconds, "cpu": cpu})
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
