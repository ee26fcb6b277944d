"""The reduced vision transformer compared with clip's own: value, gradient, and kept memory."""

from __future__ import annotations

import torch
from torch import Tensor

from generator.models.clip import VisionTransformer
from generator.models.towers.vision import embed


def network(layers: int = 3) -> VisionTransformer:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = VisionTransformer(32, 8, 64, layers, 2, 16)
        for parameter in made.parameters():
            if parameter.dim() == 1:
                torch.nn.init.normal_(parameter, mean=0.5, std=0.2)
    return made.eval().requires_grad_(False)


def with_gradient(model: VisionTransformer, images: Tensor, lean: bool) -> tuple[Tensor, Tensor]:
    leaf = images.clone().requires_grad_(True)
    vectors = embed(model, leaf) if lean else model(leaf)
    (vectors * torch.linspace(-1, 2, vectors.numel(), dtype=vectors.dtype).view(vectors.shape)).sum().backward()
    return vectors.detach(), leaf.grad


def test_the_transformer_is_clips_in_value_and_gradient() -> None:
    images = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    for layers in (1, 3):
        ours = with_gradient(network(layers), images, lean=True)
        plain = with_gradient(network(layers), images, lean=False)
        for mine, other in zip(ours, plain, strict=True):
            assert mine.shape == other.shape
            assert (mine - other).norm() / other.norm() < 1e-5


def test_less_is_kept_than_by_clip() -> None:
    model, images = network(), torch.randn(2, 3, 32, 32, requires_grad=True)
    own = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}

    def kept(lean: bool) -> int:
        sizes: dict[int, int] = {}

        def note(tensor: Tensor) -> Tensor:
            sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            vectors = embed(model, images) if lean else model(images)
        del vectors
        return sum(size for address, size in sizes.items() if address not in own)

    assert kept(lean=True) < 0.8 * kept(lean=False)
