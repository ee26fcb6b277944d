"""The known model sets: addresses, sizes and terms of their files. No torch; any thread.

Nobody publishes digests of the VQGANs, so theirs are pinned at first use; OpenAI puts each CLIP's SHA-256 in its
address. docs/checkpoints.md holds the same table for readers; a test compares them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from generator.errors import InvalidRequest

STARTER = "starter"
CONFIGS = Path(__file__).parent / "configs"

_GITHUB = "https://github.com"
_HEIBOX = "https://heibox.uni-heidelberg.de"
_LAION = "https://huggingface.co/laion"
_OPENAI = ("https://openaipublic.azureedge.net", "https://openaipublic.blob.core.windows.net")

# A download may be redirected only to these hosts; a leading dot means every host below.
TRUSTED_HOSTS = (
    "github.com",
    ".githubusercontent.com",
    "heibox.uni-heidelberg.de",
    "openaipublic.azureedge.net",
    "openaipublic.blob.core.windows.net",
    "huggingface.co",
    ".huggingface.co",
    ".hf.co",
)

_CODE_MIT = "code MIT; no licence is stated for the weights"
_CLIP_TERMS = "MIT; its model card is for research: English only, deployed use is out of scope"


@dataclass(frozen=True)
class SourceFile:
    """A published file.

    Attributes:
        name: its name in the models folder.
        urls: its addresses, the best first.
        size_mb: approximate size, in millions of bytes.
        sha256: its digest, if published.
        others: further names under which users may already have it.
    """

    name: str
    urls: tuple[str, ...]
    size_mb: int
    sha256: str | None = None
    others: tuple[str, ...] = ()


@dataclass(frozen=True)
class ModelSet:
    """A VQGAN with its default perceptors.

    Attributes:
        name: as in config.yaml and on the command line.
        summary: subjects that it is good at.
        vqgan: its weights.
        config: its yaml in taming's form, included in Reverie.
        perceptors: names in PERCEPTORS.
        terms: a short note on licence and limits.
    """

    name: str
    summary: str
    vqgan: SourceFile
    config: Path
    perceptors: tuple[str, ...]
    terms: str


def _clip(file: str, sha256: str, size_mb: int) -> SourceFile:
    return SourceFile(file, tuple(f"{host}/clip/models/{sha256}/{file}" for host in _OPENAI), size_mb, sha256)


def _open_clip(model: str, tag: str, repository: str, size_mb: int) -> SourceFile:
    """Weights of OpenCLIP from LAION's page; LAION publishes no digest beside them, so it is pinned at first use."""
    return SourceFile(
        f"{model}-{tag}.bin", (f"{_LAION}/{repository}/resolve/main/open_clip_pytorch_model.bin",), size_mb
    )


def _real_esrgan(file: str, release: str, size_mb: int, sha256: str) -> SourceFile:
    return SourceFile(file, (f"{_GITHUB}/xinntao/Real-ESRGAN/releases/download/{release}/{file}",), size_mb, sha256)


def _vqgan(file: str, size_mb: int, *urls: str, others: tuple[str, ...] = ()) -> SourceFile:
    return SourceFile(file, urls, size_mb, None, others)


PERCEPTORS: Mapping[str, SourceFile] = {
    "ViT-B/32": _clip("ViT-B-32.pt", "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af", 354),
    "ViT-B/16": _clip("ViT-B-16.pt", "5806e77cd80f8b59890b7e101eabd078d9fb84e6937f9e85e4ecb61988df416f", 351),
    "RN50": _clip("RN50.pt", "afeb0e10f9e5a86da6080e35cf09123aca3b358a0c3e3b6c78a7b63bc04b6762", 256),
    "RN50x4": _clip("RN50x4.pt", "7e526bd135e493cef0776de27d5f42653e6b4c8bf9e0f653bb11773263205fdd", 422),
    "ViT-L/14": _clip("ViT-L-14.pt", "b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836", 933),
    "RN101": _clip("RN101.pt", "8fa8567bab74a42d41c5915025a8e4538c3bdbe8804a470a72f30b0d94fab599", 292),
    "ViT-B-32/laion2b_s34b_b79k": _open_clip("ViT-B-32", "laion2b_s34b_b79k", "CLIP-ViT-B-32-laion2B-s34B-b79K", 605),
    "ViT-B-32/datacomp_xl_s13b_b90k": _open_clip(
        "ViT-B-32", "datacomp_xl_s13b_b90k", "CLIP-ViT-B-32-DataComp.XL-s13B-b90K", 605
    ),
    "ViT-B-16/laion2b_s34b_b88k": _open_clip("ViT-B-16", "laion2b_s34b_b88k", "CLIP-ViT-B-16-laion2B-s34B-b88K", 599),
    "ViT-B-16/datacomp_xl_s13b_b90k": _open_clip(
        "ViT-B-16", "datacomp_xl_s13b_b90k", "CLIP-ViT-B-16-DataComp.XL-s13B-b90K", 599
    ),
    "ViT-L-14/laion2b_s32b_b82k": _open_clip("ViT-L-14", "laion2b_s32b_b82k", "CLIP-ViT-L-14-laion2B-s32B-b82K", 1710),
    "ViT-L-14/datacomp_xl_s13b_b90k": _open_clip(
        "ViT-L-14", "datacomp_xl_s13b_b90k", "CLIP-ViT-L-14-DataComp.XL-s13B-b90K", 1710
    ),
    "convnext_base_w/laion2b_s13b_b82k_augreg": _open_clip(
        "convnext_base_w", "laion2b_s13b_b82k_augreg", "CLIP-convnext_base_w-laion2B-s13B-b82K-augreg", 718
    ),
    "convnext_base_w_320/laion_aesthetic_s13b_b82k_augreg": _open_clip(
        "convnext_base_w_320",
        "laion_aesthetic_s13b_b82k_augreg",
        "CLIP-convnext_base_w_320-laion_aesthetic-s13B-b82K-augreg",
        718,
    ),
    "convnext_large_d/laion2b_s26b_b102k_augreg": _open_clip(
        "convnext_large_d", "laion2b_s26b_b102k_augreg", "CLIP-convnext_large_d.laion2B-s26B-b102K-augreg", 1407
    ),
    "convnext_large_d_320/laion2b_s29b_b131k_ft_soup": _open_clip(
        "convnext_large_d_320",
        "laion2b_s29b_b131k_ft_soup",
        "CLIP-convnext_large_d_320.laion2B-s29B-b131K-ft-soup",
        1407,
    ),
}
PERCEPTOR_TERMS = _CLIP_TERMS
OPEN_CLIP_TERMS = "MIT; trained by LAION on pictures of the web, English only"
_HALF = {"mean": (0.5, 0.5, 0.5), "deviation": (0.5, 0.5, 0.5)}
CLIP_CONFIGS: Mapping[str, Mapping[str, Any]] = {
    name: {
        "gelu": True,
        **(_HALF if "laion2b_s32b" in name else {}),
        **({"size": 320 if "_320/" in name else 256} if name.startswith("convnext") else {}),
    }
    for name in PERCEPTORS
    if "_" in name
}
"""Configuration of the perceptors that differ from OpenAI's, as open_clip's table of tags has it."""


@dataclass(frozen=True)
class KnownUpscaler:
    """A published upscaler: its file, the factor by which it enlarges, and a note for whom it is.

    The SHA-256 of the files are those that many users of the releases publish; GitHub shows none for them.
    """

    file: SourceFile
    scale: int
    summary: str


UPSCALERS: Mapping[str, KnownUpscaler] = {
    "RealESRGAN_x4plus": KnownUpscaler(
        _real_esrgan(
            "RealESRGAN_x4plus.pth", "v0.1.0", 67, "4fa0d38905f75ac06eb49a7951b426670021be3018265fd191d2125df9d682f1"
        ),
        4,
        "photos and paintings; needs a GPU",
    ),
    "RealESRGAN_x2plus": KnownUpscaler(
        _real_esrgan(
            "RealESRGAN_x2plus.pth", "v0.2.1", 67, "49fafd45f8fd7aa8d31ab2a22d14d91b536c34494a5cfe31eb5d89c2fa266abb"
        ),
        2,
        "the same at double size",
    ),
    "RealESRGAN_x4plus_anime_6B": KnownUpscaler(
        _real_esrgan(
            "RealESRGAN_x4plus_anime_6B.pth",
            "v0.2.2.4",
            18,
            "f872d837d3c90ed2e05227bed711af5671a6fd1c9f7d7e91c911a61f155e99da",
        ),
        4,
        "drawings",
    ),
    "realesr-general-x4v3": KnownUpscaler(
        _real_esrgan(
            "realesr-general-x4v3.pth",
            "v0.2.5.0",
            5,
            "8dc7edb9ac80ccdc30c3a5dca6616509367f05fbc184ad95b731f05bece96292",
        ),
        4,
        "anything; small enough for a CPU",
    ),
}
UPSCALER_TERMS = "BSD-3-Clause"

_F16_16384 = CONFIGS / "vqgan_f16_16384.yaml"
_F16_1024 = CONFIGS / "vqgan_f16_1024.yaml"
_LATENTSHIFT = f"{_GITHUB}/ieee8023/latentshift/releases/download/weights"
_PIXRAY = f"{_GITHUB}/pixray/pixray/releases/download/v1.7.1"

SETS: Mapping[str, ModelSet] = {
    entry.name: entry
    for entry in (
        ModelSet(
            "imagenet-16384",
            "everything that has a name; the usual choice",
            _vqgan(
                "vqgan_imagenet_f16_16384.ckpt",
                980,
                f"{_GITHUB}/mehdidc/feed_forward_vqgan_clip/releases/download/0.1/vqgan_imagenet_f16_16384.ckpt",
                f"{_HEIBOX}/f/867b05fc8c4841768640/?dl=1",
                f"{_HEIBOX}/d/a7530b09fed84f80a887/files/?p=%2Fckpts%2Flast.ckpt&dl=1",
            ),
            _F16_16384,
            ("ViT-B/32",),
            f"{_CODE_MIT}; trained on ImageNet, whose pictures are for non-commercial research",
        ),
        ModelSet(
            "imagenet-1024",
            "as imagenet-16384, with fewer codes: coarser, more painterly",
            _vqgan(
                "vqgan_imagenet_f16_1024.ckpt",
                958,
                f"{_LATENTSHIFT}/vqgan_imagenet_f16_1024.ckpt",
                f"{_HEIBOX}/f/140747ba53464f49b476/?dl=1",
                f"{_HEIBOX}/d/8088892a516d4e3baf92/files/?p=%2Fckpts%2Flast.ckpt&dl=1",
            ),
            _F16_1024,
            ("ViT-B/32",),
            f"{_CODE_MIT}; trained on ImageNet, whose pictures are for non-commercial research",
        ),
        ModelSet(
            "gumbel-openimages",
            "fine detail (factor 8), twice the codes on each side: slower",
            _vqgan(
                "vqgan_gumbel_f8_8192.ckpt",
                376,
                f"{_HEIBOX}/d/2e5662443a6b4307b470/files/?p=%2Fckpts%2Flast.ckpt&dl=1",
                f"{_LATENTSHIFT}/vqgan_gumbel_f8.ckpt",
                others=("vqgan_gumbel_f8.ckpt",),
            ),
            CONFIGS / "vqgan_f8_gumbel_8192.yaml",
            ("ViT-B/32",),
            f"{_CODE_MIT}; trained on OpenImages (pictures CC BY)",
        ),
        ModelSet(
            "wikiart-16384",
            "paintings",
            _vqgan(
                "vqgan_wikiart_16384.ckpt",
                1000,
                f"{_PIXRAY}/vqgan_wikiart_16384.ckpt",
                others=("wikiart_16384.ckpt", "wikiart_f16_16384_8145600.ckpt"),
            ),
            _F16_16384,
            ("ViT-B/32",),
            "no licence is stated; trained on WikiArt, part of whose pictures are under copyright",
        ),
        ModelSet(
            "wikiart-1024",
            "paintings, with fewer codes",
            _vqgan("vqgan_wikiart_1024.ckpt", 960, f"{_PIXRAY}/vqgan_wikiart_1024.ckpt", others=("wikiart_1024.ckpt",)),
            _F16_1024,
            ("ViT-B/32",),
            "no licence is stated; trained on WikiArt, part of whose pictures are under copyright",
        ),
        ModelSet(
            "faceshq",
            "faces only",
            _vqgan(
                "2020-11-13T21-41-45_faceshq.pth",
                1000,
                f"{_LATENTSHIFT}/2020-11-13T21-41-45_faceshq.pth",
                others=("faceshq.pth", "faceshq.ckpt"),
            ),
            _F16_1024,
            ("ViT-B/32",),
            f"{_CODE_MIT}; trained on CelebA-HQ and FFHQ, for non-commercial use",
        ),
    )
}


def model_names() -> tuple[str, ...]:
    """List the names of all model sets, the starter first."""
    return STARTER, *SETS


def find_set(name: str) -> ModelSet:
    """Return the model set of that name; `starter` is not among them, as it ships with Reverie.

    Raises:
        InvalidRequest: if there is none.
    """
    try:
        return SETS[name]
    except KeyError:
        names = ", ".join(model_names())
        raise InvalidRequest(f"There are no models {name[:40]!r}; choose one of {names}.", "models") from None


def find_perceptor(name: str) -> SourceFile:
    """Return the file of OpenAI's CLIP of that name.

    Raises:
        InvalidRequest: if there is none.
    """
    try:
        return PERCEPTORS[name]
    except KeyError:
        names = ", ".join(PERCEPTORS)
        raise InvalidRequest(
            f"There is no perceptor {name[:80]!r}; choose one of {names}, or a file.", "models"
        ) from None
