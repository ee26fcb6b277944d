"""The VQGAN: taming-transformers' Encoder, Decoder and codebook in one small module.

The Lightning module around the originals (`taming.models.vqgan`) cannot be imported with current Lightning and would
download a perceptual network, so the parts are assembled here; submodule names are taming's, so that the state dicts of
its checkpoints load unchanged.
Source: Esser et al., "Taming Transformers for High-Resolution Image Synthesis", arXiv 2012.09841.
"""

from __future__ import annotations

import contextlib
import io
import sys
from types import ModuleType
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from generator.errors import CheckpointError
from generator.models.drawers.decoder import decode
from generator.models.layers import arrange, layout
from generator.runtime.precision import Precision, store_in

if TYPE_CHECKING:
    from omegaconf import DictConfig


class _Codebook(nn.Module):
    """Code vectors under the name that the checkpoint uses: `embedding` (plain) or `embed` (Gumbel)."""

    def __init__(self, n_codes: int, channels: int, name: str) -> None:
        super().__init__()
        self._name = name
        self.add_module(name, nn.Embedding(n_codes, channels))

    @property
    def weight(self) -> Tensor:
        return cast(nn.Embedding, getattr(self, self._name)).weight


class VQGAN(nn.Module):
    """Encoder, codebook and decoder, built from a config in taming's yaml form; `attn_type: none` is understood too.

    Attributes:
        factor: pixels of one code's side, 2 ** (number of resolutions - 1).
        latent_channels: C of a latent `[N, C, H / factor, W / factor]`.
        precision: number format of encoder and decoder.
        local: a cell of the latent shows nearly alone in its part of the picture.

    Raises:
        CheckpointError: if the config lacks a part or describes a model that taming cannot build.
    """

    local = True

    def __init__(self, config: DictConfig) -> None:
        super().__init__()
        from taming.modules.diffusionmodules.model import Decoder, Encoder

        try:
            params = config.model.params
            network = dict(params.ddconfig)
            attends = network.pop("attn_type", "vanilla") != "none"
            self.latent_channels = int(params.embed_dim)
            n_codes = int(params.n_embed)
            self.factor = 2 ** (len(network["ch_mult"]) - 1)
            gumbel = "gumbel" in str(config.model.target).lower()
            # taming prints sizes to standard output, which is for the command line's results.
            with contextlib.redirect_stdout(io.StringIO()):
                self.encoder, self.decoder = Encoder(**network), Decoder(**network)
            if not attends:
                _leave_out_attention(self.encoder.mid, *self.encoder.down)
                _leave_out_attention(self.decoder.mid, *self.decoder.up)
        except (KeyError, TypeError, AttributeError, ValueError) as exc:
            raise CheckpointError(f"The model's yaml is not one of taming-transformers' VQGANs: {exc}") from exc
        channels = int(network["z_channels"])
        self.quantize = _Codebook(n_codes, self.latent_channels, "embed" if gumbel else "embedding")
        if gumbel:
            self.quantize.add_module("proj", nn.Conv2d(channels, n_codes, 1))
            self.quant_conv = nn.Conv2d(channels, channels, 1)
        else:
            self.quant_conv = nn.Conv2d(channels, self.latent_channels, 1)
        self.post_quant_conv = nn.Conv2d(self.latent_channels, channels, 1)
        self.precision = Precision.FP32

    @property
    def codebook(self) -> Tensor:
        """Code vectors, `[n_codes, C]`."""
        return self.quantize.weight

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of codes of a picture of that size."""
        return height // self.factor, width // self.factor

    def random(self, height: int, width: int, generator: torch.Generator) -> Tensor:
        """Draw a code uniformly for each of `height` x `width` positions."""
        codes = torch.randint(len(self.codebook), (1, height, width), generator=generator, device=generator.device)
        return self.lookup(codes)

    def settle(self, latent: Tensor) -> Tensor:
        """Nearest code vectors; no gradient."""
        return self.quantise(latent)[0]

    def encode(self, images: Tensor) -> Tensor:
        """Encode images `[N, 3, H, W] in 0..1` to latents `[N, C, H / factor, W / factor]`.

        A Gumbel encoder gives scores for each code instead of a point in code space; its latent is the best code's
        vector.
        """
        with self.precision.on(images.device):
            features = self.encoder(images * 2 - 1)
        features = self.quant_conv(features.float())
        if "proj" in dict(self.quantize.named_children()):
            scores = cast(nn.Conv2d, self.quantize.get_submodule("proj"))(features)
            return self.lookup(scores.argmax(dim=1))
        return cast(Tensor, features)

    def quantise(self, latent: Tensor) -> tuple[Tensor, Tensor]:
        """Nearest code vectors `[N, C, h, w]` by squared L2, and their indices `[N, h, w] int64`; no gradient."""
        with torch.no_grad():
            codes = self.nearest(latent)
            return self.lookup(codes), codes

    def nearest(self, latent: Tensor) -> Tensor:
        """Indices `[N, h, w]` of the codes nearest to a latent `[N, C, h, w]`: one product, no one-hot."""
        rows = latent.permute(0, 2, 3, 1).reshape(-1, self.latent_channels).float()
        codebook = self.codebook.float()
        # |row - code|^2 without |row|^2, which is the same for every code
        distance = torch.addmm(codebook.square().sum(dim=1), rows, codebook.t(), alpha=-2)
        return distance.argmin(dim=1).reshape(latent.shape[0], *latent.shape[2:])

    def lookup(self, codes: Tensor) -> Tensor:
        """Code vectors `[N, C, h, w]` of indices `[N, h, w]`."""
        return self.codebook[codes].permute(0, 3, 1, 2)

    def decode(self, latent: Tensor, tiled: str = "") -> Tensor:
        """Decode quantised latents `[N, C, h, w]` to images `[N, 3, H, W]`, about 0..1 but not clamped.

        The images continue themselves along the axes in `tiled`, letters of `xy`.
        """
        features = self.post_quant_conv(latent)
        with self.precision.on(latent.device):
            images = self.decoder(features) if self._is_trained else decode(self.decoder, features, tiled)
        return (cast(Tensor, images).float() + 1) / 2

    @property
    def _is_trained(self) -> bool:
        """True if the decoder's weights need gradients, which its lean layers do not support."""
        return torch.is_grad_enabled() and any(weight.requires_grad for weight in self.decoder.parameters())

    def compute_in(self, precision: Precision) -> None:
        """Compute encoder and decoder in another number format from now on; the rest stays float32."""
        self.precision = precision
        store_in(self.encoder, precision)
        store_in(self.decoder, precision)
        arrange(self.decoder, layout(self.decoder.conv_in.weight))


def _leave_out_attention(middle: nn.Module, *levels: nn.Module) -> None:
    """Replace attention by nothing, as `attn_type: none` of latent-diffusion's configs does."""
    middle.attn_1 = nn.Identity()
    for level in levels:
        level.attn = nn.ModuleList(nn.Identity() for _ in cast(nn.ModuleList, level.attn))


def import_gpt() -> type[nn.Module]:
    """Import taming's GPT class.

    Its module imports a sampling function that transformers has dropped and that GPT itself never calls, so an empty
    module replaces transformers during the import.
    """
    name = "taming.modules.transformer.mingpt"
    if name not in sys.modules:
        absent = "transformers" not in sys.modules
        stand_in = ModuleType("transformers")
        stand_in.top_k_top_p_filtering = None  # type: ignore[attr-defined]
        original = sys.modules.get("transformers", stand_in)
        sys.modules["transformers"] = stand_in
        try:
            __import__(name)
        finally:
            if absent:
                del sys.modules["transformers"]
            else:
                sys.modules["transformers"] = original
    return cast("type[nn.Module]", sys.modules[name].GPT)
