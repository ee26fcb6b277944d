"""ConvNeXt as the picture tower of OpenCLIP's perceptors, frozen; the names of its weights are timm's and open_clip's.

Source: Liu et al., "A ConvNet for the 2020s", arXiv 2201.03545; Schuhmann et al., "LAION-5B", arXiv 2210.08402, for the
perceptors. Against timm: no stochastic depth and no dropout, which act in training alone, and norms sum in float32.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

LANDMARK = "visual.trunk.stem.0.weight"
"""A weight of every perceptor with this tower."""
_STEM_PX = 4
_KERNEL_PX = 7
_EXPANSION = 4
_EPSILON, _EPSILON_XX = 1e-6, 1e-5
_WIDTH_XX = 384
"""First width of the largest one, which timm gives another epsilon."""


class ConvNeXt(nn.Module):
    """A ConvNeXt with the projection of open_clip: linear, or a perceptron with one hidden layer.

    Attributes:
        input_resolution: side of its square input, in pixels.
    """

    def __init__(
        self, depths: Sequence[int], widths: Sequence[int], output: int, hidden: int | None, resolution: int
    ) -> None:
        """`depths` and `widths` are those of the stages; `hidden` is the width of the perceptron's hidden layer."""
        super().__init__()
        self.input_resolution = resolution
        epsilon = _EPSILON_XX if widths[0] == _WIDTH_XX else _EPSILON
        self.trunk = _Trunk(depths, widths, epsilon)
        self.head = nn.ModuleDict()
        if hidden is None:
            self.head["proj"] = nn.Linear(widths[-1], output, bias=False)
        else:
            layers = {"fc1": nn.Linear(widths[-1], hidden), "fc2": nn.Linear(hidden, output, bias=False)}
            self.head["mlp"] = nn.ModuleDict(layers)

    @property
    def conv1(self) -> nn.Module:
        """The first convolution, of whose weights clip.model.CLIP reads the number format."""
        return self.trunk.stem[0]

    def forward(self, images: Tensor) -> Tensor:
        """Return unnormalised features `[N, D]` of normalised pictures `[N, 3, r, r]`."""
        features = self.trunk(images)
        if "proj" in self.head:
            found: Tensor = self.head["proj"](features)
            return found
        layers = self.head["mlp"]
        assert isinstance(layers, nn.ModuleDict)  # noqa: S101 - for mypy; made above
        found = layers["fc2"](functional.gelu(layers["fc1"](features)))
        return found


class _Trunk(nn.Module):
    def __init__(self, depths: Sequence[int], widths: Sequence[int], epsilon: float) -> None:
        super().__init__()
        stem = nn.Conv2d(3, widths[0], _STEM_PX, stride=_STEM_PX)
        self.stem = nn.Sequential(stem, _Norm(widths[0], epsilon))
        before = (widths[0], *widths)
        stages = zip(depths, before, widths, strict=False)
        self.stages = nn.Sequential(*(_Stage(depth, old, new, epsilon) for depth, old, new in stages))
        self.head = nn.ModuleDict({"norm": nn.LayerNorm(widths[-1], epsilon)})

    def forward(self, images: Tensor) -> Tensor:
        features = self.stages(self.stem(images.to(next(self.parameters()).dtype)))
        pooled: Tensor = self.head["norm"](features.float().mean(dim=(2, 3)))
        return pooled.to(features.dtype)


class _Stage(nn.Module):
    def __init__(self, depth: int, before: int, width: int, epsilon: float) -> None:
        super().__init__()
        self.downsample: nn.Module = nn.Identity()
        if before != width:
            self.downsample = nn.Sequential(_Norm(before, epsilon), nn.Conv2d(before, width, 2, stride=2))
        self.blocks = nn.Sequential(*(_Block(width, epsilon) for _ in range(depth)))

    def forward(self, features: Tensor) -> Tensor:
        found: Tensor = self.blocks(self.downsample(features))
        return found


class _Block(nn.Module):
    def __init__(self, width: int, epsilon: float) -> None:
        super().__init__()
        self.conv_dw = nn.Conv2d(width, width, _KERNEL_PX, padding=_KERNEL_PX // 2, groups=width)
        self.norm = nn.LayerNorm(width, epsilon)
        layers = {"fc1": nn.Linear(width, _EXPANSION * width), "fc2": nn.Linear(_EXPANSION * width, width)}
        self.mlp = nn.ModuleDict(layers)
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, features: Tensor) -> Tensor:
        rows = self.conv_dw(features).permute(0, 2, 3, 1)
        rows = self.norm(rows.float()).to(rows.dtype)
        rows = self.mlp["fc2"](functional.gelu(self.mlp["fc1"](rows)))
        found: Tensor = features + (rows * self.gamma.to(rows.dtype)).permute(0, 3, 1, 2)
        return found


class _Norm(nn.LayerNorm):
    """Layer norm over the channels of `[N, C, H, W]`."""

    def __init__(self, width: int, epsilon: float) -> None:
        super().__init__(width, epsilon)

    def forward(self, features: Tensor) -> Tensor:
        return super().forward(features.permute(0, 2, 3, 1).float()).permute(0, 3, 1, 2).to(features.dtype)


def build(state: Mapping[str, Tensor], resolution: int) -> ConvNeXt:
    """Build a tower for a state dict, whose shapes tell its depths and widths.

    Raises:
        KeyError: if it has no such tower.
    """
    depths, widths = list[int](), list[int]()
    while f"visual.trunk.stages.{len(depths)}.blocks.0.gamma" in state:
        stage = f"visual.trunk.stages.{len(depths)}.blocks."
        depths.append(len({name.removeprefix(stage).split(".")[0] for name in state if name.startswith(stage)}))
        widths.append(len(state[f"{stage}0.gamma"]))
    linear = state.get("visual.head.proj.weight")
    if linear is not None:
        return ConvNeXt(depths, widths, len(linear), None, resolution)
    hidden = state["visual.head.mlp.fc1.weight"]
    return ConvNeXt(depths, widths, len(state["visual.head.mlp.fc2.weight"]), len(hidden), resolution)
