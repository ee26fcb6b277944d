"""Output files of the command line: names, formats, and checks that they can be written. No torch."""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path
from typing import NamedTuple

from generator.errors import InvalidRequest
from generator.images import files as images
from generator.images import timelapse

MAX_NAME_CHARACTERS = 40
MAX_NAME_BYTES = 255

_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)", re.IGNORECASE)


class Outputs(NamedTuple):
    """Files of one picture; `timelapse` and `tile_sheet` are None without one."""

    picture: Path
    file_format: str
    timelapse: Path | None
    preview_every: int
    tile_sheet: Path | None = None

    @property
    def snapshot(self) -> Path:
        """Snapshot file of a stopped dream."""
        return self.picture.with_suffix(".dream")


def plan_outputs(
    output: str | Path | None,
    file_format: str | None,
    timelapse: str | None,
    preview_every: str,
    title: str,
    tile_sheet: Path | None = None,
) -> Outputs:
    """Choose all output files before anything is generated; `title` names the file if no name is given.

    A folder that is missing is made if `output` ends in a slash.

    Raises:
        InvalidRequest: if names and formats do not agree, or a place cannot be written to.
    """
    if file_format is not None and file_format not in images.FORMATS:
        raise InvalidRequest(
            f"format cannot be {file_format[:20]!r}; choose one of {', '.join(images.FORMATS)}.", "format"
        )
    if not re.fullmatch(r"\d{1,4}", preview_every):
        raise InvalidRequest(
            f"preview-every must be a whole number from 0 to 9999, not {preview_every[:20]!r}.", "preview_every"
        )
    picture = _picture(None if output is None else place_of(output), file_format, title)
    check_writable(picture)
    timelapse_path = None if timelapse is None else _timelapse_path(timelapse, picture)
    if tile_sheet is not None:
        _check_sheet(tile_sheet, picture)
    kind = file_format or images.format_of(picture) or "png"
    return Outputs(picture, kind, timelapse_path, int(preview_every), tile_sheet)


def name_for(title: str) -> str:
    """Short file name from the words of a prompt, safe on every system."""
    words = re.sub(r"[\W_]+", "-", unicodedata.normalize("NFC", title).lower()).strip("-")
    short = words[:MAX_NAME_CHARACTERS].strip("-")
    return f"{short}-picture".strip("-") if not short or _RESERVED.fullmatch(short) else short


def free(path: Path) -> Path:
    """The path itself, or with a number appended to the name if it is taken."""
    number, candidate = 2, path
    while candidate.exists():
        candidate = path.with_name(f"{path.stem}-{number}{path.suffix}")
        number += 1
    return candidate


def picture_beside(snapshot: Path, file_format: str | None) -> Path:
    """The picture that was saved with the snapshot of a stopped dream, which the finished one replaces."""
    for path in sorted(snapshot.parent.iterdir()):
        kind = images.format_of(path) if path.stem == snapshot.stem else None
        if kind is not None and file_format in (None, kind):
            return path
    return snapshot.with_suffix(_suffix(file_format))


def _suffix(file_format: str | None) -> str:
    return {None: ".png", "jpeg": ".jpg"}.get(file_format, f".{file_format}")


def place_of(output: str | Path) -> Path:
    """The file or folder of a name; a missing folder is made if the name ends in a slash, as no file's does.

    Raises:
        InvalidRequest: if it cannot be made.
    """
    path = Path(output)
    if str(output).endswith("/") and not os.path.isdir(path):
        try:
            path.mkdir(parents=True)
        except (OSError, ValueError) as exc:
            why = getattr(exc, "strerror", None) or "its name is no folder's name"
            raise InvalidRequest(f"The folder {str(output)[-80:]!r} cannot be made: {why}.", "output") from exc
    return path


def _picture(output: Path | None, file_format: str | None, title: str) -> Path:
    suffix = _suffix(file_format)
    if output is None or os.path.isdir(output):  # Path.is_dir raises for a name that is too long
        return free((output or Path()) / f"{name_for(title)}{suffix}")
    if not output.name.strip("."):
        raise InvalidRequest(f"{str(output)!r} is no name of a file.", "output")
    if not output.suffix:
        return output.with_name(f"{output.name}{suffix}")
    by_name = images.format_of(output)
    if by_name is None and file_format is None:
        raise InvalidRequest(
            f"{output.name[-40:]!r} names no format; end it in .png, .jpg or .webp, or give --format.", "output"
        )
    if by_name is not None and file_format not in (None, by_name):
        raise InvalidRequest(f"{output.name[-40:]!r} asks for {by_name} and --format for {file_format}.", "output")
    return output


def _timelapse_path(given: str, picture: Path) -> Path:
    path = Path(given) if given else picture.with_name(f"{picture.stem}-timelapse.webp")
    file_format = path.suffix.lower().removeprefix(".")
    if file_format not in timelapse.FORMATS:
        raise InvalidRequest(
            f"A timelapse ends in .webp or .mp4, not as {given[-40:]!r}; put the prompt before --timelapse.",
            "timelapse",
        )
    if path == picture:
        raise InvalidRequest("The picture and its timelapse need two names.", "timelapse")
    timelapse.check_available(file_format)
    check_writable(path)
    return path


def _check_sheet(sheet: Path, picture: Path) -> None:
    if images.format_of(sheet) is None:
        raise InvalidRequest(f"A tile sheet ends in .png, .jpg or .webp, not as {str(sheet)[-40:]!r}.", "tile_sheet")
    if sheet == picture:
        raise InvalidRequest("The picture and its tile sheet need two names.", "tile_sheet")
    check_writable(sheet)


def check_writable(path: Path) -> None:
    """Check that a file can be written.

    Raises:
        InvalidRequest: if not; the message says why.
    """
    folder = path.parent
    try:
        if "\0" in str(path):
            reason = "its name holds a zero byte"
        elif len(os.fsencode(path.name)) > MAX_NAME_BYTES:
            reason = "its name is too long"
        elif path.is_dir():
            reason = "it is a folder"
        elif not folder.is_dir():
            reason = "its folder is not there"
        elif not os.access(folder, os.W_OK):
            reason = "its folder is not writable"
        else:
            return
    except (OSError, ValueError):
        reason = "its name is no file's name"
    raise InvalidRequest(f"{str(path)[-80:]!r} cannot be written: {reason}.", "output")
