"""Lean layers compared with torch's own: values, input gradients, kept memory, and the choice of Winograd."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from generator.models.layers import attend, convolve, layout, norm_swish

HALVES = [torch.bfloat16, torch.float16]


def layer(channels: int, out: int, kernel: int = 3, dtype: torch.dtype = torch.float32) -> nn.Conv2d:
    torch.manual_seed(0)
    made = nn.Conv2d(channels, out, kernel, padding=kernel // 2).requires_grad_(False)
    made.weight.data = made.weight.to(dtype)
    return made


def norm(channels: int) -> nn.GroupNorm:
    made = nn.GroupNorm(32, channels, eps=1e-6).requires_grad_(False)
    torch.manual_seed(0)
    nn.init.uniform_(made.weight, 0.5, 1.5)
    nn.init.normal_(made.bias)
    return made


def pictures(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1)).to(dtype)


def with_gradient(function: Callable[[Tensor], Tensor], images: Tensor) -> tuple[Tensor, Tensor]:
    """Value and input gradient, for a non-uniform gradient of the value."""
    leaf = images.clone().requires_grad_(True)
    value = function(leaf)
    value.backward(torch.linspace(-1, 2, value.numel()).view(value.shape).to(value.dtype))
    return value.detach(), leaf.grad


def apart(ours: tuple[Tensor, Tensor], plain: tuple[Tensor, Tensor]) -> float:
    """Largest difference of value or gradient, as a share of its largest element."""
    pairs = zip(ours, plain, strict=True)
    return max(((mine.double() - other).abs().max() / other.abs().max()).item() for mine, other in pairs)


def kept_bytes(function: Callable[[], Tensor], but: nn.Module) -> int:
    """Bytes that autograd keeps beside a layer's weights."""
    sizes: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        result = function()
    del result
    own = {parameter.untyped_storage().data_ptr() for parameter in but.parameters()}
    return sum(size for address, size in sizes.items() if address not in own)


@pytest.mark.parametrize(
    ("channels", "out", "kernel", "height", "width"),
    [
        (8, 12, 3, 5, 7),  # small: torch's own
        (24, 3, 3, 9, 6),  # thin: the gradient by the flipped kernel
        (96, 32, 1, 6, 6),
        (64, 64, 3, 32, 32),  # Winograd from here on
        (64, 96, 3, 33, 41),
        (128, 64, 3, 48, 40),
    ],
)
def test_a_convolution_gives_torchs_value_and_gradient(
    channels: int, out: int, kernel: int, height: int, width: int
) -> None:
    plain, images = layer(channels, out, kernel), pictures(1, channels, height, width)
    double = layer(channels, out, kernel).double()
    exact = with_gradient(double, images.double())
    assert apart(with_gradient(lambda seen: convolve(seen, plain), images), exact) < 3e-5


def test_several_pictures_go_at_once() -> None:
    plain, images = layer(64, 64), pictures(3, 64, 32, 32)
    exact = with_gradient(layer(64, 64).double(), images.double())
    assert apart(with_gradient(lambda seen: convolve(seen, plain), images), exact) < 3e-5


@pytest.mark.parametrize("dtype", HALVES)
def test_a_convolution_computes_in_the_format_of_its_weights(dtype: torch.dtype) -> None:
    half, images = layer(64, 64, dtype=dtype), pictures(1, 64, 32, 32)
    value, gradient = with_gradient(lambda seen: convolve(seen, half), images)
    assert (value.dtype, gradient.dtype) == (dtype, torch.float32)
    assert apart((value, gradient), with_gradient(layer(64, 64).double(), images.double())) < 0.02


def test_a_convolution_keeps_nothing_and_stock_keeps_its_input() -> None:
    plain, images = layer(64, 64), pictures(1, 64, 32, 32).requires_grad_(True)
    doubled = images * 2
    assert kept_bytes(lambda: convolve(doubled, plain), plain) == 0
    assert kept_bytes(lambda: plain(doubled), plain) == images.nbytes


@pytest.mark.parametrize("shape", [(1, 64, 16, 16), (2, 96, 5, 9), (1, 32, 8, 8)])
def test_norm_and_swish_are_torchs(shape: tuple[int, ...]) -> None:
    plain, images = norm(shape[1]), pictures(*shape) * 3 + 1
    double = norm(shape[1]).double()
    exact = with_gradient(lambda seen: functional.silu(double(seen)), images.double())
    assert apart(with_gradient(lambda seen: norm_swish(seen, plain), images), exact) < 1e-5


@pytest.mark.parametrize("dtype", HALVES)
def test_norms_of_half_pictures_are_computed_in_full(dtype: torch.dtype) -> None:
    plain, images = norm(64), pictures(1, 64, 16, 16) * 1000
    value, gradient = with_gradient(lambda seen: norm_swish(seen, plain), images.to(dtype))
    double = norm(64).double()
    exact = with_gradient(lambda seen: functional.silu(double(seen)), images.to(dtype).double())
    assert (value.dtype, gradient.dtype) == (dtype, dtype)
    assert apart((value, gradient), exact) < 0.02


@pytest.mark.parametrize("shape", [(1, 64, 16, 16), (2, 96, 5, 9), (3, 32, 8, 8)])
def test_the_norms_own_gradient_is_as_near_to_the_exact_one_as_torchs(shape: tuple[int, ...]) -> None:
    plain, images = norm(shape[1]), (pictures(*shape) * 3 + 1).bfloat16()
    assert layout(images) is torch.channels_last
    exact = with_gradient(lambda seen: functional.silu(norm(shape[1]).double()(seen)), images.double())[1]

    def distance(function: Callable[[Tensor], Tensor]) -> float:
        gradient = with_gradient(function, images)[1]
        return ((gradient.double() - exact).norm() / exact.norm()).item()

    half = norm(shape[1]).bfloat16()
    assert distance(lambda seen: norm_swish(seen, plain)) < 1.5 * distance(lambda seen: functional.silu(half(seen)))


def test_attention_is_torchs_in_every_format() -> None:
    query, key, value = (pictures(2, 3, length, 8) for length in (5, 7, 7))
    exact = with_gradient(
        lambda q: functional.scaled_dot_product_attention(q, key.double(), value.double()), query.double()
    )
    assert apart(with_gradient(lambda q: attend(q, key, value), query), exact) < 1e-5
    half = [part.bfloat16() for part in (query, key, value)]
    assert apart(with_gradient(lambda q: attend(q, *half[1:]), half[0]), exact) < 0.02


def test_half_pictures_on_a_cpu_keep_their_channels_last() -> None:
    half, images = layer(32, 32, dtype=torch.bfloat16), pictures(1, 32, 8, 8, dtype=torch.bfloat16)
    images = images.contiguous(memory_format=torch.channels_last).requires_grad_(True)
    shown = norm_swish(convolve(images, half), norm(32))
    shown.sum().backward()
    assert shown.is_contiguous(memory_format=torch.channels_last)
    assert images.grad.is_contiguous(memory_format=torch.channels_last)


def test_norm_and_swish_keep_one_tensor_where_stock_keeps_three() -> None:
    plain, images = norm(64), pictures(1, 64, 32, 32).requires_grad_(True)
    tripled, statistics = images * 3, 2 * 32 * 4
    assert kept_bytes(lambda: norm_swish(tripled, plain), plain) == images.nbytes + statistics

    def stock() -> Tensor:
        normal = plain(tripled)
        return normal * torch.sigmoid(normal)  # as taming writes it

    assert kept_bytes(stock, plain) >= 3 * images.nbytes


@pytest.fixture
def threads(request: pytest.FixtureRequest) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("threads", [2, 3, 40], indirect=True)
@pytest.mark.parametrize("shape", [(2, 64, 32, 32), (1, 64, 33, 41), (1, 64, 131, 40), (2, 96, 128, 32)])
@pytest.mark.usefixtures("threads")
def test_threads_share_a_convolution_and_give_the_same_each_time(shape: tuple[int, ...]) -> None:
    plain, images = layer(shape[1], 80), pictures(*shape)
    exact = with_gradient(layer(shape[1], 80).double(), images.double())
    first, second = (with_gradient(lambda seen: convolve(seen, plain), images) for _ in range(2))
    assert apart(first, exact) < 3e-5
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[1])


def test_winograd_repeats_to_the_byte() -> None:
    plain, images = layer(128, 128), pictures(1, 128, 64, 64)
    first, second = (with_gradient(lambda seen: convolve(seen, plain), images) for _ in range(2))
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[1])


@pytest.mark.parametrize("side", [1, 3])
def test_the_gradient_that_a_gpu_takes_is_that_of_the_convolution(side: int) -> None:
    """On a GPU a transposed convolution is used, which keeps the order of the gradient in memory."""
    weight = torch.randn(20, 6, side, side, generator=torch.Generator().manual_seed(1))
    images = torch.randn(2, 6, 7, 9, generator=torch.Generator().manual_seed(2)).requires_grad_(True)
    result = torch.nn.functional.conv2d(images, weight, padding=side // 2)
    gradient = torch.randn(result.shape, generator=torch.Generator().manual_seed(3))
    (expected,) = torch.autograd.grad(result, images, gradient)
    assert torch.allclose(
        torch.nn.functional.conv_transpose2d(gradient, weight, padding=side // 2), expected, atol=1e-4
    )
