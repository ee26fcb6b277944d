"""Download of catalogue files: from the first mirror that has them, checked, atomically. Blocking."""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from filelock import FileLock, Timeout

from generator.checkpoints.catalogue import PERCEPTORS, UPSCALERS, SourceFile, find_perceptor, find_set
from generator.checkpoints.digests import compare, sha256_of
from generator.checkpoints.faults import Fault, naming_file
from generator.checkpoints.places import place_of
from generator.checkpoints.transfer import CHUNK_BYTES, Interrupted, Rules, discard, transfer
from generator.errors import CheckpointError

# Reserve for the converted form, made afterwards and at most as large as the file itself.
SPARE_BYTES = 64 * 10**6
_LOG = logging.getLogger(__name__)

# Called with the file's name, the bytes so far and, if the server sent it, the total.
FetchProgress = Callable[[str, int, int | None], None]


def files_of(name: str, perceptors: Sequence[str] | None = None) -> tuple[SourceFile, ...]:
    """List the files of a model set, with its own perceptors or others; or the one file of a perceptor or upscaler.

    Raises:
        InvalidRequest: for a name that is not in the catalogue.
    """
    if name in PERCEPTORS:
        return (PERCEPTORS[name],)
    if name in UPSCALERS:
        return (UPSCALERS[name].file,)
    entry = find_set(name)
    clips = entry.perceptors if perceptors is None else perceptors
    return (entry.vqgan, *(find_perceptor(clip) for clip in clips))


def fetch(
    file: SourceFile,
    folder: Path,
    progress: FetchProgress = lambda name, done, total: None,
    rules: Rules | None = None,
    digests: Mapping[str, str] | None = None,
) -> Path:
    """Return the path of a catalogue file, after downloading it if necessary and comparing its digest.

    An unknown digest is pinned only when the file is first opened (`library`): a damaged file gets no pin.

    `digests` are the SHA-256 that files of those names must have, as config.yaml may pin them.

    Raises:
        CheckpointError: if it cannot be had, or has changed; the sentence says what happened at each mirror.
    """
    rules = rules or Rules()
    digest = (digests or {}).get(file.name) or file.sha256
    place = place_of(file, folder)
    with naming_file(place):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(folder / f".{file.name}.lock", timeout=0):
                if place.is_file():
                    _check(place, place, digest)
                    return place
                _from_mirrors(file, place, digest, progress, rules)
        except Timeout as exc:
            raise Fault("is being fetched by another program; wait for that.") from exc
    return place


def _from_mirrors(file: SourceFile, place: Path, digest: str | None, progress: FetchProgress, rules: Rules) -> None:
    part = place.with_name(f"{place.name}.part")
    _make_sure_of_space(file.size_mb * 10**6 - _size(part), place.parent)
    failures: list[str] = []
    for url in file.urls:
        host = urlsplit(url).hostname or "?"
        try:
            _download_with_retries(url, file, part, progress, rules)
            try:
                _check(part, place, digest)
            except Fault:
                discard(part)
                raise
        except Fault as exc:
            _LOG.warning("%s did not give %s: it %s", host, file.name, exc)
            failures.append(f"{host} {exc}".rstrip("."))
        else:
            os.replace(part, place)
            discard(part)
            return
    raise CheckpointError(
        f"{file.name} could not be fetched: {'; '.join(failures)}. Try again later, or put the file into "
        f"{place.parent} by hand (docs/checkpoints.md)."
    )


def _download_with_retries(url: str, file: SourceFile, part: Path, progress: FetchProgress, rules: Rules) -> None:
    """Try one address several times, resuming the partial download each time."""

    def report(done: int, total: int | None) -> None:
        progress(file.name, done, total)

    limit = 2 * file.size_mb * 10**6
    left = rules.tries
    while True:
        before = _size(part)
        try:
            transfer(url, part, limit, rules, report)
            return
        except Interrupted:
            left = rules.tries if _size(part) >= before + CHUNK_BYTES else left - 1
            if left <= 0:
                raise
            time.sleep(rules.pause_s * (rules.tries - left))


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _check(content: Path, place: Path, digest: str | None) -> None:
    """Check that a file is a model at all and has the right digest: the given one, or that of its first use."""
    from generator.checkpoints.archives import open_archive

    with open_archive(content):
        compare(place, sha256_of(content), digest)


def _make_sure_of_space(needed: int, folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed + SPARE_BYTES:
        raise Fault(
            f"takes {max(needed, 0) / 1e6:.0f} MB more and {folder} has only {free / 1e6:.0f} MB free; make room, "
            "twice as much as the file, since it is also converted."
        )
