"""Provenance: everything besides the request that can change a picture's bytes. No torch; any thread.

Recipes contain it but do not require it: generating again follows it where possible and reports the differences.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version

from generator.messages import Message
from generator.version import __version__

PRECISIONS = ("auto", "fp32", "bf16", "fp16")
"""Precisions that can be requested; see `generator.runtime.precision`."""
_COMPARED = ("generator", "torch", "device", "precision", "threads")
MAX_THREADS = 256
"""Upper limit on threads in a recipe."""


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Versions, the kind of device and its use, and model files by name with their SHA-256.

    Attributes:
        generator: version of Reverie.
        torch: version of torch.
        device: `cpu` or `cuda`.
        precision: number format of the networks, see `generator.runtime.precision`.
        threads: CPU threads among which sums were split; 0 if another device did the work.
        cutouts_at_once: largest number evaluated together, see `generator.optimisation.guidance`; 0 is all.
        files: SHA-256 of the model files by name.
    """

    generator: str = __version__
    torch: str = ""
    device: str = ""
    precision: str = ""
    threads: int = 0
    cutouts_at_once: int = 0
    files: Mapping[str, str] = field(default_factory=dict)


def current_provenance(
    device: str, files: Mapping[str, str], *, precision: str = "", threads: int = 0, cutouts_at_once: int = 0
) -> Provenance:
    """Provenance of pictures made by this program now, on a device of the kind `device`, with these model files."""
    return Provenance(
        torch=_torch_version(),
        device=device,
        precision=precision,
        threads=threads,
        cutouts_at_once=cutouts_at_once,
        files=dict(sorted(files.items())),
    )


@functools.cache
def _torch_version() -> str:
    """The version of torch; it takes a millisecond to find."""
    try:
        return version("torch")
    except PackageNotFoundError:
        return ""


def differences(then: Provenance | None, now: Provenance) -> list[Message]:
    """Messages about differences between then and now that may change the picture's bytes.

    Model files are compared by their digests alone, as a file may have been renamed.
    """
    if then is None:
        return []
    found = []
    here = set(now.files.values())
    changed = [name for name, digest in then.files.items() if here and digest not in here]
    told = changed and then.generator and set(changed) <= now.files.keys()
    if changed:
        names = ", ".join(name[:40] for name in changed[:3])
        text = "This picture was made with model files that are not here ({names}); it will come out differently."
        message = Message(text, names=names)
        if told:
            text = (
                "Reverie {version} painted this picture with other models ({names}), which this version does not have; "
                "it will come out differently."
            )
            message = Message(text, version=then.generator[:40], names=names)
        found.append(message)
    for what in ("torch", "device", "precision", "threads") if told else _COMPARED:
        before, ours = getattr(then, what), getattr(now, what)
        if before and before != ours:
            text = "This picture was made with {what} {before}, here it is {ours}; it may differ a little."
            if what == "threads":
                text = "The number of CPU threads was {before}, here it is {ours}; the picture may differ a little."
            found.append(Message(text, what=what, before=str(before)[:40], ours=str(ours)))
    return found
