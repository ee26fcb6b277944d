"""Triton's group norm with SiLU: results by its interpreter, machine code for three GPUs, tilings, the trial.

Triton must know before its import whether it interprets, so this file runs itself as a program, with TRITON_INTERPRET=1
and once for all cases, and checks the printed figures.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as functional
from torch import Tensor

from generator.models.kernels import group_norm_silu as kernels
from generator.models.kernels import norm_kernels

tl: Any = getattr(kernels, "tl", None)
EPSILON = 1e-6
LAYOUTS = {"last": torch.channels_last, "contiguous": torch.contiguous_format}
DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
# One unit in the last place: the interpreter truncates bfloat16 instead of rounding.
UNITS = {"fp32": 0.0, "fp16": 2.0**-10, "bf16": 2.0**-7}


@dataclass(frozen=True)
class Case:
    shape: tuple[int, int, int, int]
    groups: int
    dtype: str = "fp32"
    layout: str = "last"
    silu: bool = True
    mean: float = 0.5
    deviation: float = 2.0
    tolerance: float = 2e-6
    """Tolerance of float32 arithmetic, as a share of the largest element."""
    sizes: tuple[int, int, int] | None = None
    """Side of a square tile, programs, and parts combined at once, instead of the module's own sizes."""


SHAPES: dict[str, tuple[tuple[int, int, int, int], int]] = {
    "1 a group": ((1, 8, 5, 7), 8),
    "3 a group": ((3, 6, 9, 7), 2),
    "4 a group": ((1, 128, 6, 5), 32),
    "16 a group": ((1, 32, 9, 8), 2),
    "one group": ((3, 5, 11, 3), 1),
    "one pixel": ((1, 6, 1, 1), 2),
    "one channel": ((1, 1, 13, 29), 1),
    "two tiles of channels": ((1, 136, 3, 17), 2),
}
CASES = {
    f"{name}, {dtype}, {layout}": Case(shape, groups, dtype, layout)
    for name, (shape, groups) in SHAPES.items()
    for dtype in (DTYPES if name == "3 a group" else ["fp32"])
    for layout in LAYOUTS
} | {
    f"{name}, {layout}": case
    for layout in LAYOUTS
    for name, case in {
        "without SiLU": Case((3, 6, 9, 7), 2, "fp32", layout, silu=False),
        "without SiLU in bf16": Case((1, 16, 5, 8), 1, "bf16", layout, silu=False),
        "many parts": Case((1, 6, 9, 11), 2, "fp32", layout, sizes=(8, 1024, 64)),
        "many steps": Case((1, 10, 9, 11), 2, "fp32", layout, sizes=(8, 6, 64)),
        "many rounds of combining": Case((1, 6, 9, 11), 1, "fp32", layout, sizes=(8, 1024, 16)),
        # The step between float32 numbers at 100 is 8e-4 of the deviation: torch's own float32 errs by 2e-4 to 4e-4. A
        # difference of mean squares would be lost: rounding 10,000 to float32 errs by 5e-4, five times the variance.
        "far from zero": Case((1, 8, 13, 19), 2, "fp32", layout, True, 100.0, 0.01, 1e-3, (8, 8, 16)),
        "far from zero, own sizes": Case((1, 8, 33, 19), 2, "fp32", layout, True, 100.0, 0.01, 1e-3),
    }.items()
}
FLAWLESS = [
    "results repeat to the byte",
    "memory format is kept",
    "number format is kept",
    "a gradient in another memory format is the same",
    "a gradient that repeats one number is the same",
    "a picture is the same alone and in a batch",
    "strided pictures are the same as contiguous ones",
    "a part of a picture keeps its channels last",
    "half weights are taken as they are",
    "weights get no gradient",
    "nothing but the pictures and two numbers a group is kept",
    "misfits are refused",
    "offsets pass 2^31",
    "the trial passes where the kernels work",
    "the trial fails where they err",
    "the trial fails on a card that is too old",
]


def noise(case: Case, seed: int) -> Tensor:
    return torch.randn(case.shape, generator=torch.Generator().manual_seed(seed))


def pictures(case: Case) -> Tensor:
    numbers = (noise(case, 1) * case.deviation + case.mean).to(DTYPES[case.dtype])
    return numbers.contiguous(memory_format=LAYOUTS[case.layout])


def gradients(case: Case) -> Tensor:
    numbers = (noise(case, 3) + 0.5).to(DTYPES[case.dtype])
    return numbers.contiguous(memory_format=LAYOUTS[case.layout])


def layer(channels: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(2)
    return torch.rand(channels, generator=generator) + 0.5, torch.randn(channels, generator=generator)


def ours(case: Case, images: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    function = kernels.group_norm_silu if case.silu else kernels.group_norm
    return function(images, weight, bias, case.groups, EPSILON)


def plain(case: Case, images: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    norm = functional.group_norm(images.double(), case.groups, weight.double(), bias.double(), EPSILON)
    return functional.silu(norm) if case.silu else norm


def with_gradient(function: Callable[[Tensor], Tensor], images: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
    leaf = images.detach().clone().requires_grad_(True)
    value = function(leaf)
    (result,) = torch.autograd.grad(value, leaf, gradient.to(value.dtype))
    return value.detach(), result


def share_of_tolerance(case: Case, own: Tensor, other: Tensor) -> float:
    """Largest error as a share of the tolerance; not finite if the result is not."""
    allowed = UNITS[case.dtype] * other.abs() + case.tolerance * other.abs().max()
    return ((own.double() - other).abs() / allowed).max().item()


@contextmanager
def resized(sizes: tuple[int, int, int] | None) -> Iterator[None]:
    names = ("_TILE_ELEMENTS", "_CHANNEL_RUN", "_PIXEL_RUN", "_SUMMING_PROGRAMS", "_COMBINED_AT_ONCE")
    before = [getattr(kernels, name) for name in names]
    if sizes is not None:
        side, programs, combined = sizes
        for name, size in zip(names, (side * side, side, side, programs, combined), strict=True):
            setattr(kernels, name, size)
    try:
        yield
    finally:
        for name, size in zip(names, before, strict=True):
            setattr(kernels, name, size)


def compare(case: Case, device: str = "cpu") -> tuple[float, float]:
    """Errors of value and gradient, as shares of the tolerance."""
    images, (weight, bias) = pictures(case).to(device), layer(case.shape[1])
    weight, bias, gradient = weight.to(device), bias.to(device), gradients(case).to(device)
    with resized(case.sizes):
        found = with_gradient(lambda leaf: ours(case, leaf, weight, bias), images, gradient)
    expected = with_gradient(lambda leaf: plain(case, leaf, weight, bias), images.double(), gradient)
    value, slope = (share_of_tolerance(case, own, other) for own, other in zip(found, expected, strict=True))
    return value, slope


def slopes() -> tuple[float, float]:
    """Change of the result along a direction: by central difference, and by the gradient."""
    case = Case((1, 6, 9, 7), 2)
    images, (weight, bias), gradient = pictures(case), layer(6), gradients(case)
    direction, step = noise(case, 4), 1e-2
    ends = [ours(case, images + side * direction, weight, bias) for side in (step, -step)]
    _, found = with_gradient(lambda leaf: ours(case, leaf, weight, bias), images, gradient)
    by_difference = ((ends[0].double() - ends[1].double()) * gradient).sum() / (2 * step)
    return by_difference.item(), (found.double() * direction).sum().item()


def kept_bytes(function: Callable[[], Tensor]) -> int:
    sizes: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        result = function()
    del result
    return sum(sizes.values())


def refused(*shape: int, groups: int = 2, dtype: torch.dtype = torch.float32, channels: int = 6) -> bool:
    try:
        kernels.group_norm_silu(torch.zeros(shape, dtype=dtype), *layer(channels), groups, EPSILON)
    except ValueError:
        return True
    return False


def _last_offsets(found: Any, pixels: Any, channels: Any, CHANNELS_LAST: tl.constexpr) -> None:  # noqa: ANN401
    """Offsets of the last pixel's last two channels in each picture, as a kernel."""
    pixel, channel = pixels - 1 + tl.arange(0, 1), channels - 2 + tl.arange(0, 2)
    offset, _ = kernels._offsets(pixel, channel, pixels, channels, CHANNELS_LAST)
    tl.store(found + tl.program_id(1) * 2 + tl.arange(0, 2)[None, :], offset)


def offsets_are_wide() -> bool:
    found, size = torch.zeros(2, 3, 2, dtype=torch.int64), 2**24 * 2**8
    for place, last in enumerate((True, False)):
        kernels.triton.jit(_last_offsets)[1, 3](found[place], 2**24, 2**8, CHANNELS_LAST=last)
    ends = torch.tensor([size, 2 * size, 3 * size])
    return torch.equal(found[0], torch.stack([ends - 2, ends - 1], 1)) and torch.equal(
        found[1], torch.stack([ends - 1 - 2**24, ends - 1], 1)
    )


def trial_error(capability: tuple[int, int], kernel: Callable[..., Tensor] = kernels.group_norm_silu) -> str:
    """Error of the trial, run on the CPU as if it were such a GPU; empty if there is none."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
        patch.setattr(kernels, "group_norm_silu", kernel)
        try:
            kernels._run_trial(torch.device("cpu"))
        except RuntimeError as exc:
            return str(exc)
    return ""


def erring(images: Tensor, weight: Tensor, bias: Tensor, groups: int, epsilon: float) -> Tensor:
    """Torch's own results, a twentieth too large."""
    return functional.silu(functional.group_norm(images.float(), groups, weight, bias, epsilon)) * 1.05


def properties() -> dict[str, bool]:
    case = Case((2, 6, 9, 7), 2)
    images, (weight, bias), gradient = pictures(case), layer(6), gradients(case)

    def run(images: Tensor, gradient: Tensor, weight: Tensor = weight) -> tuple[Tensor, Tensor]:
        return with_gradient(lambda leaf: ours(case, leaf, weight, bias), images, gradient)

    def same(one: tuple[Tensor, Tensor], other: tuple[Tensor, Tensor]) -> bool:
        return all(torch.equal(left, right) for left, right in zip(one, other, strict=True))

    first = run(images, gradient)
    contiguous = run(images.contiguous(), gradient.contiguous())
    half = run(images.bfloat16(), gradient)
    wide = torch.zeros(2, 6, 9, 14)
    wide[..., ::2] = images
    leaf = images.clone().requires_grad_(True)
    one = torch.ones(()).expand(case.shape)
    ours(case, wide[..., ::2].requires_grad_(True), weight, bias).backward(gradient)
    frozen = weight.clone().requires_grad_(True)
    ours(case, leaf, frozen, bias).sum().backward()
    rounded = weight.bfloat16()
    strided = ours(case, wide[..., ::2], weight, bias)
    cropped = images[..., 1:, 2:]
    last = ours(case, cropped, weight, bias)
    answers = [
        same(first, run(images, gradient)),
        all(tensor.is_contiguous(memory_format=torch.channels_last) for tensor in first)
        and all(tensor.is_contiguous() for tensor in contiguous),
        all(tensor.dtype == torch.bfloat16 for tensor in half),
        same(first, run(images, gradient.contiguous())) and same(contiguous, run(images.contiguous(), gradient)),
        same(run(images, one), run(images, one.contiguous())),
        same((first[0][1:], first[1][1:]), run(images[1:], gradient[1:])),
        torch.equal(strided, contiguous[0]) and strided.is_contiguous(),
        torch.equal(last, ours(case, cropped.contiguous(memory_format=torch.channels_last), weight, bias))
        and last.is_contiguous(memory_format=torch.channels_last),
        same(run(images, gradient, rounded), run(images, gradient, rounded.float())),
        frozen.grad is None and leaf.grad is not None,
        kept_bytes(lambda: ours(case, leaf, weight, bias)) == 4 * (images.numel() + 2 * 6 + 2 * 2 * 2),
        refused(6, 9, 7)
        and refused(0, 6, 9, 7)
        and refused(2, 6, 0, 7)
        and refused(2, 6, 9, 7, groups=4)
        and refused(2, 6, 9, 7, groups=0)
        and refused(2, 6, 9, 7, channels=12)
        and refused(2, 6, 9, 7, dtype=torch.float64),
        offsets_are_wide(),
        trial_error((8, 0)) == "",
        trial_error((8, 0), erring).endswith("away from torch's"),
        trial_error((6, 1)) == "the GPU's compute capability 6.1 is below 7.0",
    ]
    return dict(zip(FLAWLESS, answers, strict=True))


@pytest.fixture(scope="module")
def interpreted() -> dict[str, Any]:
    pytest.importorskip("triton", reason="only torch's CUDA builds for Linux bring Triton")
    root = Path(kernels.__file__).resolve().parents[3]
    environment = os.environ | {"TRITON_INTERPRET": "1", "PYTHONPATH": str(root)}
    run = subprocess.run([sys.executable, __file__], env=environment, cwd=root, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    figures: dict[str, Any] = json.loads(run.stdout)
    return figures


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_value_and_gradient_are_those_of_torch_in_float64(name: str, interpreted: dict[str, Any]) -> None:
    value, gradient = interpreted["errors"][name]
    assert value <= 1
    assert gradient <= 1


@pytest.mark.slow
def test_the_gradient_is_the_slope_of_the_value(interpreted: dict[str, Any]) -> None:
    by_difference, by_gradient = interpreted["slopes"]
    assert by_gradient == pytest.approx(by_difference, rel=2e-3)


@pytest.mark.slow
@pytest.mark.parametrize("name", FLAWLESS)
def test_that(name: str, interpreted: dict[str, Any]) -> None:
    assert interpreted["properties"][name]


# (the picture's side divided by the layer's, channels) of all norms in an f16 VQGAN of the real shape.
LEVELS = [(1, 128), (2, 128), (2, 256), (4, 256), (8, 256), (8, 512), (16, 512)]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("size_px", [256, 384, 512, 768, 1024])
@pytest.mark.parametrize(("divisor", "channels"), LEVELS)
def test_tilings_of_real_shapes_fill_a_gpu_and_waste_little(
    size_px: int, divisor: int, channels: int, layout: str
) -> None:
    pixels = (size_px // divisor) ** 2
    tiling = kernels.choose_tiling(pixels, channels, layout == "last")
    # 16 elements a thread, and rows of at least 256 bytes in half formats.
    assert tiling.tile_pixels * tiling.tile_channels == 2048
    assert (tiling.tile_channels if layout == "last" else tiling.tile_pixels) >= 128
    # Each part has pixels, and each pixel a part.
    assert (tiling.parts - 1) * tiling.part_pixels < pixels <= tiling.parts * tiling.part_pixels
    assert tiling.pixel_tiles * tiling.tile_pixels >= pixels
    assert tiling.channel_tiles * tiling.tile_channels == channels
    # At most a third of the threads idle, none at all with channels-last.
    assert tiling.writing_programs * 2048 <= pixels * channels * (1 if layout == "last" else 4 / 3)
    # As many programs as there are tiles for small pictures, 512 to 1,024 for all others; grids are below 2^31.
    assert tiling.summing_programs <= 1024
    assert tiling.steps == 1 or tiling.summing_programs >= 512
    assert 64 <= tiling.writing_programs < 2**31
    # A group's parts are combined in one round, and are small beside a large picture.
    assert tiling.parts * (channels // 32) <= 4096
    if pixels >= 256 * 256:
        assert 2 * tiling.parts * 4 <= 0.1 * pixels * 2


@dataclass(frozen=True)
class Code:
    """A kernel compiled without its GPU."""

    ptx: str
    cubin: bytes
    shared_bytes: int

    def resources(self, folder: Path) -> dict[str, int]:
        """Registers per thread, and bytes of stack and of spilled registers, as cuobjdump reports them."""
        import triton

        program = Path(triton.__file__).parent / "backends/nvidia/bin/cuobjdump"
        path = folder / "kernel.cubin"
        path.write_bytes(self.cubin)
        text = subprocess.run([program, "-res-usage", path], capture_output=True, text=True, check=True).stdout
        return {name: int(number) for name, number in re.findall(r"(REG|STACK|LOCAL):(\d+)", text)}


KERNELS = ["_sum_moments", "_combine_moments", "_normalise", "_sum_gradients", "_combine_gradients", "_propagate"]


def compile_ahead(name: str, capability: int, dtype: str, pixels: int, channels: int, groups: int, layout: str) -> Code:
    """Compile a kernel for a GPU, specialised as Triton does at a launch: ones, multiples of 16, aligned tensors."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    kernel = getattr(kernels, name)
    tiling = kernels.choose_tiling(pixels, channels, layout == "last")
    options = kernels._tile_options(tiling, LAYOUTS[layout])
    warps = {"num_warps": 8} if name.startswith("_combine") else {"num_warps": options.pop("num_warps")}
    constants = options | {"SILU": True, "BLOCK": kernels._COMBINED_AT_ONCE}
    numbers = {
        "pixels": pixels,
        "channels": channels,
        "group_size": channels // groups,
        "parts": tiling.parts,
        "steps": tiling.steps,
        "part_pixels": tiling.part_pixels,
    }
    special = {parameter.name for parameter in kernel.params if not parameter.do_not_specialize}
    constants |= {argument: 1 for argument, number in numbers.items() if number == 1 and argument in special}
    signature, aligned = {}, {}
    for place, argument in enumerate(kernel.arg_names):
        if argument in constants:
            signature[argument] = "constexpr"
        elif argument == "epsilon":
            signature[argument] = "fp32"
        elif argument in numbers:
            signature[argument] = "i32"
        else:
            whole = argument in ("images", "gradients", "results", "weights", "biases")
            signature[argument] = f"*{dtype if whole else 'fp32'}"
        if signature[argument].startswith("*") or (argument in special and numbers.get(argument, 1) % 16 == 0):
            aligned[(place,)] = [["tt.divisibility", 16]]
    used = {argument: constants[argument] for argument in kernel.arg_names if argument in constants}
    source = ASTSource(kernel, signature, used, aligned)
    compiled = triton.compile(source, target=GPUTarget("cuda", capability, 32), options=warps)
    return Code(compiled.asm["ptx"], compiled.asm["cubin"], compiled.metadata.shared)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("triton")


@pytest.fixture
def compiler(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Code]:
    pytest.importorskip("triton", reason="only torch's CUDA builds for Linux bring Triton")
    monkeypatch.setenv("TRITON_CACHE_DIR", str(cache))
    return compile_ahead


def check_code(code: Code, name: str, dtype: str, folder: Path) -> None:
    assert code.cubin.startswith(b"\x7fELF")
    assert code.shared_bytes <= 16 * 1024  # a T4 has 64 KiB for all blocks on a multiprocessor
    resources = code.resources(folder)
    assert resources["LOCAL"] == resources["STACK"] == 0
    assert resources["REG"] <= 128  # of 65,536: at least four blocks of 128 threads on a multiprocessor
    # Pictures are read and written in 16 bytes per thread: 8 elements in half formats, 4 in float32.
    at_once = 4 if dtype == "fp32" else 2
    read = {"_sum_moments": 1, "_normalise": 1, "_sum_gradients": 2, "_propagate": 2}.get(name)
    if read:
        assert code.ptx.count("ld.global.v4.b32") == read * at_once
    if name in ("_normalise", "_propagate"):
        assert code.ptx.count("st.global.v4.b32") == at_once


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("capability", [75, 80, 90])
def test_kernels_compile_for_the_cards(
    capability: int, dtype: str, compiler: Callable[..., Code], tmp_path: Path
) -> None:
    for layout in LAYOUTS:
        for name in KERNELS:
            check_code(compiler(name, capability, dtype, 512 * 512, 128, 32, layout), name, dtype, tmp_path)


@pytest.mark.parametrize(("capability", "dtype"), [(75, "fp16"), (90, "bf16")])
@pytest.mark.parametrize(("pixels", "channels"), [(128 * 128, 256), (64 * 64, 512), (16 * 16, 512)])
def test_kernels_of_wide_layers_compile(
    pixels: int, channels: int, capability: int, dtype: str, compiler: Callable[..., Code], tmp_path: Path
) -> None:
    for layout in LAYOUTS:
        for name in KERNELS:
            check_code(compiler(name, capability, dtype, pixels, channels, 32, layout), name, dtype, tmp_path)


@pytest.mark.parametrize(("pixels", "channels", "groups"), [(1, 1, 1), (387, 15, 1)])
def test_kernels_of_odd_shapes_compile(pixels: int, channels: int, groups: int, compiler: Callable[..., Code]) -> None:
    for layout in LAYOUTS:
        for name in KERNELS:
            assert compiler(name, 75, "fp16", pixels, channels, groups, layout).cubin


def test_without_a_gpu_the_kernels_are_not_available_and_nothing_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    assert not kernels.available(torch.device("cpu"))
    if not torch.cuda.is_available():
        assert not kernels.available(torch.device("cuda"))
        assert not kernels.available(torch.device("cuda", 0))
    assert not caplog.records


def test_the_kernels_can_be_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    device = torch.device("cuda", 62)
    monkeypatch.setattr(kernels, "available", lambda device: True)
    assert norm_kernels(device) is kernels
    monkeypatch.setenv("REVERIE_KERNELS", "off")
    assert norm_kernels(device) is None


def test_a_trial_that_fails_is_logged_once_in_one_line(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    nowhere = torch.device("cuda", 63)
    assert not kernels.available(nowhere)
    assert not kernels.available(nowhere)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.exc_info is None
    message = record.getMessage()
    assert "\n" not in message
    assert message.startswith("Group norms on cuda:63 use torch's kernels; a step takes up to twice as long (")


def test_the_module_can_be_imported_without_triton(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "triton"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "triton", None)
    spec = importlib.util.spec_from_file_location("without_triton", kernels.__file__)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "without_triton", module)
    spec.loader.exec_module(module)
    assert module.triton is None
    assert not module.available(torch.device("cpu"))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert not module.available(torch.device("cuda", 0))
    assert [record.getMessage().partition("(")[2] for record in caplog.records] == [
        "RuntimeError: Triton is not installed)"
    ]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_on_a_gpu_the_kernels_agree_with_torch_and_can_be_captured(dtype: str, layout: str) -> None:
    assert kernels.available(torch.device("cuda", 0))
    case = Case((2, 256, 63, 65), 32, dtype, layout, tolerance=1e-5)
    assert max(compare(case, "cuda")) <= 1
    images, gradient = pictures(case).cuda(), gradients(case).cuda()
    weight, bias = (tensor.cuda() for tensor in layer(256))
    leaf = images.clone().requires_grad_(True)

    def run() -> tuple[Tensor, Tensor]:
        value = kernels.group_norm_silu(leaf, weight, bias, 32, EPSILON)
        return value.detach(), torch.autograd.grad(value, leaf, gradient)[0]

    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        expected = run()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = run()
    graph.replay()
    torch.cuda.synchronize()
    assert torch.equal(captured[0], expected[0])
    assert torch.equal(captured[1], expected[1])


def patch_once() -> None:
    """Let Triton's interpreter patch its language once a kernel: at each call, that takes a third of the time."""
    interpreter = importlib.import_module("triton.runtime.interpreter")
    patch_language = interpreter._patch_lang

    def patch(function: Callable[..., object]) -> object:
        used = [module for module in (tl, tl.core) if module in function.__globals__.values()]
        return patch_language(function) if any(tl.core.is_builtin(module.load) for module in used) else None

    interpreter._patch_lang = patch


if __name__ == "__main__":
    patch_once()
    figures = {
        "errors": {name: compare(case) for name, case in CASES.items()},
        "slopes": slopes(),
        "properties": properties(),
    }
    json.dump(figures, sys.stdout)
