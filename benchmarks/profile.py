"""Profile of a step by part, compared with the machine's limit: `python -m benchmarks.profile`.

The step is divided into its parts, forward and backward separately. The limit is the speed of a large matrix product on
the same machine in the same minute; operations are those of the plain arithmetic, so that a part that needs fewer
(Winograd) can exceed 100 %.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.cases import CASES, Case, models_of, request_of, stock_eye
from benchmarks.report import conditions, on_gpu, options, wait_for, write_report
from generator.models.model_set import Models
from generator.optimisation.autograd import clamp_with_gradient, straight_through
from generator.optimisation.cutouts import augment, cut
from generator.optimisation.dream import Dream
from generator.optimisation.guidance import ClipGuidance
from generator.optimisation.losses.matching import prompt_losses
from generator.optimisation.targets import targets_of

_SIDE = 2048
"""Side of the square matrices whose product defines the machine's limit."""


@dataclass
class Stopwatch:
    """CPU seconds, or on a GPU wall seconds, of each part in each round."""

    device: str
    seconds: dict[str, list[float]] = field(default_factory=dict)

    def time(self, name: str, function: Callable[[], Tensor | None]) -> Tensor | None:
        """Time the function and return its result."""
        began = self._now()
        result = function()
        self.seconds.setdefault(name, []).append(self._now() - began)
        return result

    def _now(self) -> float:
        if on_gpu(self.device):
            wait_for(self.device)
            return time.perf_counter()
        return time.process_time()


def one_step(models: Models, case: Case, watch: Stopwatch) -> None:
    """A step of the dream in parts, each of which starts at a leaf, so that its gradient can be timed alone."""
    request = request_of(case, models)
    settings, vqgan, perceptor = request.settings, models.vqgan, models.perceptors[0]
    targets = targets_of(request, models.perceptors)[0]
    latent = Dream(request, models).latent
    generator = torch.Generator(models.device).manual_seed(0)
    guidance = ClipGuidance(models.perceptors, settings)
    quantised = vqgan.quantise(latent)[0]
    overviews = round(settings.overview * settings.cutouts)
    backs: list[tuple[str, Tensor, Tensor]] = []

    def part(name: str, function: Callable[[Tensor], Tensor], given: Tensor) -> Tensor:
        leaf = given.detach().requires_grad_(True)
        value = watch.time(f"{name}, forward", lambda: function(leaf))
        assert value is not None  # noqa: S101 - for the type alone
        backs.append((name, leaf, value))
        return value

    watch.time("nearest codes", lambda: vqgan.quantise(latent)[0])
    image = part("decode", lambda z: clamp_with_gradient(vqgan.decode(straight_through(z, quantised)), 0, 1), latent)
    cutouts = guidance.draw(overviews, image, generator)
    noise = cutouts.noise[perceptor.resolution]
    crops = part(
        "cut and augment",
        lambda seen: augment(cut(seen, cutouts.cuts, perceptor.resolution), cutouts.cuts, settings, noise),
        image,
    )
    vectors = part("embed", perceptor.embed_images, crops)
    loss = part(
        "loss", lambda ours: prompt_losses(ours, targets.vectors[0], targets.shares, targets.stops).sum(), vectors
    )
    gradient = torch.ones_like(loss)
    for name, leaf, value in reversed(backs):
        watch.time(f"{name}, backward", lambda value=value, gradient=gradient: value.backward(gradient))
        assert leaf.grad is not None  # noqa: S101
        gradient = leaf.grad


def operations(case: Case, device: str) -> dict[str, float]:
    """GFLOP of the plain arithmetic of decoder and perceptor, forward; the backward pass to the input takes as many."""
    models = models_of(case, device, "fp32")
    request = request_of(case, models)
    latent = Dream(request, models).latent
    eye = stock_eye(case, models)
    crops = torch.zeros(request.settings.cutouts, 3, eye.resolution, eye.resolution, device=models.device)
    figures = {}
    with torch.no_grad():
        for name, function in (
            ("decode", lambda: models.vqgan.decoder(models.vqgan.post_quant_conv(latent))),
            ("embed", lambda: eye.network(crops)),
        ):
            with FlopCounterMode(display=False) as counter:
                function()
            figures[name] = counter.get_total_flops() / 1e9
    return figures


def limit(watch: Stopwatch, device: str, dtype: torch.dtype) -> float:
    """GFLOP/s of a product of large matrices in a number format, the best of five."""
    first, second = torch.rand(2, _SIDE, _SIDE, device=device, dtype=dtype).unbind(0)
    for _ in range(5):
        watch.time("limit", lambda: first @ second)
    return 2 * _SIDE**3 / 1e9 / min(watch.seconds.pop("limit"))


def main(arguments: list[str]) -> int:
    """Profile one case."""
    parser = options(__doc__, "profile.json")
    parser.add_argument("case", nargs="?", default="starter-full-size", choices=list(CASES))
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args(arguments)
    about = conditions(args.threads, args.device)
    torch.set_num_threads(args.threads)
    case = CASES[args.case]
    models = models_of(case, args.device)
    one_step(models, case, Stopwatch(args.device))
    watch = Stopwatch(args.device)
    peak = limit(watch, args.device, models.precision.dtype)
    for _ in range(args.rounds):
        one_step(models, case, watch)
    gflop = operations(case, args.device)
    medians = {name: statistics.median(seconds) for name, seconds in watch.seconds.items()}
    total = sum(medians.values())
    rows = []
    for name, seconds in medians.items():
        work = gflop.get(name.partition(",")[0])
        rate = "" if work is None else f"{work / seconds:.0f} ({work / seconds / peak:.0%})"
        rows.append([name, f"{seconds * 1000:.0f}", f"{seconds / total:.1%}", rate])
    rows.append(["all", f"{total * 1000:.0f}", "", f"limit {peak:.0f} ({models.precision.value})"])
    figures = {"case": case.name, "seconds": watch.seconds, "gflop_forward": gflop, "limit_gflop_s": peak}
    write_report(args.json, about, ["part", "ms", "share", "GFLOP/s of the plain arithmetic"], rows, figures)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
