"""Profile of a dream under a T4's limits, on any GPU: `python -m benchmarks.t4_profile`.

A T4 has float16 but no bfloat16, no TF32, no flash attention, and 14.5 GiB available to a program. So the networks
compute only in float16, TF32 and flash attention are off, and torch's memory is capped. Real shapes (VQGAN ImageNet f16
with 16,384 codes, ViT-B/32) with random weights, 32 cutouts. Reported for each size: the error of picture and loss
against float32, peak memory, and seconds per step, which are those of the GPU at hand.

Without a GPU it says so and exits with 2. `--device cpu --tiny` runs everything with tiny models, to test the script.
Exits with 1 if a picture or loss has too large an error, or a size did not fit as requested.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from benchmarks.cases import CASES, PROMPT, models_of, tiny_models
from benchmarks.report import conditions, write_report
from generator.models.model_set import Models
from generator.optimisation.dream import Dream
from generator.optimisation.memory.footprint import memory_model_of
from generator.request import GenerationRequest
from generator.runtime.device import cap_memory, choose_device, release_unused
from generator.runtime.memory import MemoryBudget
from generator.runtime.precision import Precision
from generator.settings import Settings, Size

T4_BYTES = 14.5 * 2**30
MOST_IMAGE_ERROR, MOST_LOSS_ERROR = 0.02, 0.01
"""Mean pixel difference (0..1) and share of the loss from which half precision counts as wrong."""
WARM_UP_STEPS = 3
MIB = 2**20


@dataclass(frozen=True)
class Figures:
    """Measurements of one size; errors as in MOST_..., memory in MiB (None on a CPU), times in seconds."""

    size: int
    image_error: float
    loss_error: float
    estimated_mib: float
    peak_mib: float | None
    step_s: float
    cutouts_at_once: int
    as_asked: bool

    @property
    def right(self) -> bool:
        """True if the picture is right and of the requested size."""
        return self.image_error < MOST_IMAGE_ERROR and self.loss_error < MOST_LOSS_ERROR and self.as_asked


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print a table, write JSON and return the exit code."""
    given = _parser().parse_args(arguments)
    if given.device == "cuda" and not torch.cuda.is_available():
        print("The T4 profile needs a GPU, and torch finds none here; try the script with --device cpu --tiny.")
        return 2
    if given.device == "cpu" and not given.tiny:
        print("float16 with real shapes would take days on a CPU; add --tiny.")
        return 2
    device = str(choose_device(given.device))
    about = conditions(torch.get_num_threads(), device) | {"tiny": given.tiny, "cutouts": given.cutouts}
    models = tiny_models(device) if given.tiny else models_of(CASES["512-real"], device, "fp32")
    with _as_on_a_t4():
        figures = [_measure(models, size, given.cutouts, given.steps) for size in given.sizes]
    head = ("size", "picture off by", "loss off by", "estimated MiB", "peak MiB", "s/step", "cutouts at once", "right")
    write_report(given.json, about, head, [_row(item) for item in figures], [asdict(item) for item in figures])
    return 0 if all(item.right for item in figures) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--tiny", action="store_true", help="tiny models, to try the script")
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512, 768], help="sides in pixels")
    parser.add_argument("--cutouts", type=int, default=32)
    parser.add_argument("--steps", type=int, default=50, help="that are timed")
    parser.add_argument("--json", type=Path, default=Path("build/bench/t4_profile.json"), help="where the figures go")
    return parser


def _measure(models: Models, size: int, cutouts: int, steps: int) -> Figures:
    device = models.device
    settings = Settings(size=Size(size, size), cutouts=cutouts, steps=5000, start="random", seed=1)
    request = GenerationRequest(prompt=PROMPT, models=models.name, settings=settings)
    cap_memory(device, 1.0)
    image, loss = _first_step(Dream(request, models))
    half = _in_float16(models)
    estimate = memory_model_of(half).step_bytes(settings.size, cutouts) / MIB
    release_unused(device)
    if device.type == "cuda":
        cap_memory(device, min(1.0, T4_BYTES / torch.cuda.get_device_properties(device).total_memory))
        torch.cuda.reset_peak_memory_stats(device)
    dream = Dream(request, half)
    as_asked = dream.request == request
    half_image, half_loss = _first_step(dream) if as_asked else (image, loss)
    step_s = _timed(dream, steps)
    return Figures(
        size=size,
        image_error=float((half_image - image).abs().mean()),
        loss_error=abs(half_loss - loss) / max(abs(loss), 1e-9),
        estimated_mib=estimate,
        peak_mib=torch.cuda.max_memory_allocated(device) / MIB if device.type == "cuda" else None,
        step_s=step_s,
        cutouts_at_once=dream.made_with.cutouts_at_once or cutouts,
        as_asked=as_asked and dream.request == request and dream.made_with.precision == "fp16",
    )


def _first_step(dream: Dream) -> tuple[torch.Tensor, float]:
    """First picture of the dream, `[H, W, 3]` in 0..1 on the CPU, and its loss."""
    image = torch.frombuffer(bytearray(dream.preview().tobytes()), dtype=torch.uint8) / 255
    while not dream.losses:  # on a GPU they arrive some steps later
        dream.step()
    return image, dream.losses[0]


def _timed(dream: Dream, steps: int) -> float:
    """Seconds per step, as the median over windows of several steps, each synchronised."""
    wait: Callable[[], None] = torch.cuda.synchronize if torch.cuda.is_initialized() else lambda: None
    window = max(1, steps // 5)
    for _ in range(min(WARM_UP_STEPS, steps)):
        dream.step()
    times = []
    for _ in range(max(1, steps // window)):
        wait()
        began = time.perf_counter()
        for _ in range(window):
            dream.step()
        wait()
        times.append((time.perf_counter() - began) / window)
    return statistics.median(times)


def _in_float16(models: Models) -> Models:
    """A copy that computes in float16; on a GPU its budget is what the cap leaves."""
    share = 1.0
    if models.device.type == "cuda":
        share = min(1.0, T4_BYTES / torch.cuda.get_device_properties(models.device).total_memory)
    half = replace(models.in_precision(Precision.FP16), budget=MemoryBudget())
    return replace(half, budget=MemoryBudget.of(models.device, share)) if models.device.type == "cuda" else half


@contextmanager
def _as_on_a_t4() -> Iterator[None]:
    """Disable TF32 and the attention kernels that a T4 lacks."""
    backends = torch.backends
    before = backends.cuda.matmul.allow_tf32, backends.cudnn.allow_tf32
    attention = backends.cuda.flash_sdp_enabled(), backends.cuda.cudnn_sdp_enabled()
    backends.cuda.matmul.allow_tf32 = backends.cudnn.allow_tf32 = False
    backends.cuda.enable_flash_sdp(False)
    backends.cuda.enable_cudnn_sdp(False)
    try:
        yield
    finally:
        backends.cuda.matmul.allow_tf32, backends.cudnn.allow_tf32 = before
        backends.cuda.enable_flash_sdp(attention[0])
        backends.cuda.enable_cudnn_sdp(attention[1])


def _row(item: Figures) -> list[str]:
    peak = "–" if item.peak_mib is None else f"{item.peak_mib:.0f}"
    return [
        f"{item.size}²", f"{item.image_error:.4f}", f"{item.loss_error:.2%}", f"{item.estimated_mib:.0f}", peak,
        f"{item.step_s:.3f}", str(item.cutouts_at_once), "yes" if item.right else "NO",
    ]  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
