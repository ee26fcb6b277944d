"""Command-line flags: one for every setting, with its help text. No torch.

Typed text is parsed into values here, and every mistake becomes a readable error.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import Field, fields
from pathlib import Path
from typing import Any, NoReturn

from generator import __version__
from generator.checkpoints.sources import add_flags
from generator.cli.config import read_suggestions
from generator.errors import InvalidRequest
from generator.films.plan import LISTENS_TO, MOVES, FilmPlan
from generator.films.templates import DEFAULT, TEMPLATES
from generator.images import files as images
from generator.images import films, timelapse
from generator.provenance import PRECISIONS
from generator.request import ImagePrompt
from generator.settings import FOR_LOSSES, LOSSES, Settings, read_setting

PROGRAM = "python -m generator"
MOVE_HELP = {
    "zoom": "enlargement, 1 at rest",
    "x": "way to the right, in halves of the shorter side",
    "y": "way down, in halves of the shorter side",
    "turn": "degrees clockwise",
    "tilt": "degrees by which the upper edge recedes",
}

_ABOUT = """\
Generate a picture from a prompt, for example:
  {program} "a red apple" --seed 7 --output apple.png
  {program} "a castle:1 | fog:-0.5 ^ a castle at night" --size 96x64

| separates several prompts. :NUMBER sets the weight of a prompt (below 0: steer away from it), a second :NUMBER the
distance below which it has no more influence. ^ begins the next scene of a story.

Other commands:
  {program} again FILE.png     make a picture (or a film) again from its recipe
  {program} film PROMPT        make a film: zoom, pan and turn through a picture, from scene to scene
  {program} models             list and download models
"""
_ABOUT_FILMS = """\
Make a film from a prompt, for example:
  {program} film "a castle at night"
  {program} film "0s: a forest ^ 4s: a city at night" --template pan
  {program} film "a red apple" --seconds 6 --zoom "0s: 1 ^ 3s: 2 ^ 6s: 1" --turn 90

^ begins the next scene; SECONDS and s: before it say when it is reached. Keyframes of a value look the same.
"""
_AFTER = """\
Settings apply in this order, the last one wins: the defaults above, config.yaml, the flags.
Exit status: 0 success; 2 wrong input; 130 stopped by Ctrl-C, with the current picture saved; 1 any other error.
"""


class SentenceParser(argparse.ArgumentParser):
    """Argument parser whose errors are our own sentences instead of a usage text."""

    def error(self, message: str) -> NoReturn:
        """Turn argparse's message into an InvalidRequest."""
        raise InvalidRequest(f"{message[:1].upper()}{message[1:]}; see {self.prog} --help.")


def imagine_parser() -> SentenceParser:
    """Parser for generating from a prompt."""
    parser = _parser(PROGRAM, _ABOUT.format(program=PROGRAM))
    parser.add_argument("--version", action="version", version=__version__)
    parser.add_argument("words", nargs="*", metavar="PROMPT", help="what the picture should show")
    source = _add_input(parser)
    source.add_argument(
        "--resume", type=Path, metavar="FILE",
        help="resume a run that Ctrl-C stopped; the finished picture replaces the one beside FILE",
    )  # fmt: skip
    add_flags(parser)
    _add_settings(parser)
    _add_output(parser)
    return parser


def _add_input(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Flags for models, pictures and defaults that a request begins with."""
    source = parser.add_argument_group("input")
    source.add_argument("--models", metavar="NAME", help="the model set (default: starter)")
    source.add_argument("--init-image", type=Path, metavar="FILE", help="start from this picture (start: init)")
    source.add_argument(
        "--mask", type=Path, metavar="FILE",
        help="repaint what is white in this picture, or transparent (repaint: picture, unless keep is)",
    )  # fmt: skip
    source.add_argument(
        "--image-prompt", action="append", default=[], metavar="FILE[:WEIGHT[:STOP]]",
        help="use this picture like a prompt; a weight below 0 steers away from it; may be repeated",
    )  # fmt: skip
    source.add_argument(
        "--parent",
        type=Path,
        metavar="FILE",
        help="continue from the final state of a picture made by Reverie (start: parent)",
    )
    source.add_argument("--config", type=Path, metavar="FILE", help="a config.yaml with models, device and settings")
    return source


def film_parser() -> SentenceParser:
    """Parser for `film`."""
    parser = _parser(f"{PROGRAM} film", _ABOUT_FILMS.format(program=PROGRAM))
    parser.add_argument("words", nargs="*", metavar="PROMPT", help="what the film should show")
    _add_input(parser)
    parser.add_argument("--resume", type=Path, metavar="FOLDER", help="go on with a film that was stopped")
    add_flags(parser)
    film = parser.add_argument_group("film")
    film.add_argument("--template", metavar="NAME", help=f"{_listed(tuple(TEMPLATES))} (default: {DEFAULT})")
    for item in fields(FilmPlan):
        flag, text = f"--{item.name.replace('_', '-')}", str(item.metadata.get("help", "")).replace("%", "%%")
        if item.name in MOVES:
            film.add_argument(flag, metavar="KEYS", help=f"{MOVE_HELP[item.name]}: keyframes, or where it ends")
        elif item.name == "picture_steps":
            continue  # --steps
        elif item.name in ("loop", "from_start"):
            film.add_argument(flag, action=argparse.BooleanOptionalAction, default=None, help=text)
        elif text:
            kind = int if isinstance(item.default, int) else float
            film.add_argument(flag, type=kind, metavar="N" if kind is int else "X", help=text)
    film.add_argument(
        "--through",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="a finished picture that the film goes through; repeat it for each, the prompt may be left out",
    )
    film.add_argument("--seeds", metavar="N,N", help="go through the pictures of the prompt with these seeds")
    film.add_argument(
        "--restyle", type=Path, metavar="FILE",
        help="a GIF, animated WebP, MP4 or another film to be repainted frame by frame, in its timing, with its sound",
    )  # fmt: skip
    film.add_argument("--music", type=Path, metavar="FILE", help="music that the film follows and, but for WebP, has")
    film.add_argument(
        "--listen-to", metavar="NAME", default="beats", help=f"{_listed(LISTENS_TO)} of the music (default: beats)"
    )
    _add_settings(parser)
    _add_film_output(parser)
    return parser


def again_parser() -> SentenceParser:
    """Parser for `again`: generating from a recipe."""
    parser = _parser(f"{PROGRAM} again", "Make a picture again from its recipe.")
    parser.add_argument(
        "file", type=Path, metavar="FILE", help="a picture saved by Reverie, or the JSON file of a recipe"
    )
    add_flags(parser)
    parser.add_argument(
        "--upscaler", metavar="NAME|FILE", help="also enlarge it with this upscaler, or none (default: as before)"
    )
    _add_output(parser)
    return parser


def device_named(text: str) -> str:
    """A device for the flags of other programs: its name with the number, such as `cuda:0` for `auto` or `cuda`."""
    from generator.runtime.device import choose_device

    try:
        return str(choose_device(text))
    except InvalidRequest as exc:
        raise argparse.ArgumentTypeError(str(exc)) from exc


def given_settings(options: argparse.Namespace) -> dict[str, object]:
    """Settings given as flags, by name, as values that `Settings.merged` checks."""
    given: dict[str, object] = {}
    for item in fields(Settings):
        value = getattr(options, item.name)
        if value is not None:
            given[item.name] = read_setting(item.name, value) if isinstance(value, str) else value
    return given


def read_picture(path: Path) -> bytes:
    """Read a normalised picture from a file.

    Raises:
        InvalidRequest: if it cannot be read; the message names the file.
    """
    data = read_bytes(path)
    try:
        return images.normalise(data)
    except InvalidRequest as exc:
        raise InvalidRequest(f"{path}: {exc}", exc.field) from exc


def read_mask(path: Path) -> bytes:
    """Read a normalised mask from a file.

    Raises:
        InvalidRequest: if it cannot be read, or is of one shade; the message names the file.
    """
    data = read_bytes(path)
    try:
        return images.normalise_mask(data)
    except InvalidRequest as exc:
        raise InvalidRequest(f"{path}: {exc}", exc.field) from exc


def read_bytes(path: Path, most: int = images.MAX_FILE_BYTES) -> bytes:
    """Read the bytes of a file, only slightly more than `most`.

    Raises:
        InvalidRequest: if it cannot be read; the message names the file.
    """
    try:
        with path.open("rb") as file:
            return file.read(most + 1)
    except (OSError, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "its name is no file's name"
        raise InvalidRequest(f"{str(path)!r} cannot be read: {reason}.", "file") from exc


def read_image_prompt(text: str) -> ImagePrompt:
    """Parse `FILE`, `FILE:weight` or `FILE:weight:stop`; an existing file whose name contains colons takes precedence.

    Raises:
        InvalidRequest: for a file that cannot be read, or an invalid weight.
    """
    name, numbers = text, list[float]()
    while len(numbers) < 2 and not Path(name).exists():
        head, colon, tail = name.rpartition(":")
        try:
            number = float(tail)
        except ValueError:
            break
        if not colon:
            break
        name, numbers = head, [number, *numbers]
    image = read_picture(Path(name))
    return ImagePrompt(image=image, **dict(zip(("weight", "stop"), numbers, strict=False)))


def _parser(program: str, about: str) -> SentenceParser:
    return SentenceParser(
        prog=program,
        usage=f"{program} [flags] {'FILE' if program.endswith('again') else 'PROMPT'}",
        description=about,
        epilog=_AFTER,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def _add_settings(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("settings")
    for item in fields(Settings):
        flag, text = f"--{item.name.replace('_', '-')}", f"{item.metadata['help']} ({_range(item)})".replace("%", "%%")
        if item.type == "bool":
            group.add_argument(flag, action=argparse.BooleanOptionalAction, default=None, help=text)
        else:
            metavar = {"int": "N", "float": "X", "Size": "WxH"}.get(str(item.type), "NAME")
            metavar = "NAME|FILE" if item.name == "upscaler" else metavar
            group.add_argument(flag, dest=item.name, metavar=metavar, help=text)


def _range(item: Field[Any]) -> str:
    metadata: Mapping[str, Any] = item.metadata
    default = "random" if item.name == "seed" else _default(item)
    if "choices" in metadata:
        return f"one of {', '.join(metadata['choices'])}; default: {default}"
    if "colours" in metadata:
        return f"{metadata['colours']} at most, or none; default: {default}"
    if "low" in metadata:
        return f"{metadata['low']} to {metadata['high']}; default: {default}"
    return f"default: {default}"


def _default(item: Field[Any]) -> str:
    """The default of a setting by model set, and for the starter by start."""
    suggested, starts = read_suggestions()
    first, otherwise = _shown(suggested.get(item.name, item.default)), _shown(item.default)
    by_value: dict[str, list[str]] = {}
    for start, changes in starts.items():
        if item.name in changes and (value := _shown(changes[item.name])) != first:
            by_value.setdefault(value, []).append(start)
    exceptions = "; ".join(f"{value} with start {', '.join(names)}" for value, names in by_value.items())
    exceptions = exceptions.replace(f"start {FOR_LOSSES}", f"one of the settings {', '.join((*LOSSES, 'tile'))}")
    starter = f"{first} ({exceptions})" if exceptions else first
    return starter if starter == otherwise else f"{starter}, with other models {otherwise}"


def _shown(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _add_film_output(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("output")
    group.add_argument(
        "-o", "--output", metavar="FILE",
        help="where to save the film: a file or a folder (default: here, named after the prompt); a folder whose name "
        "ends in a slash is made",
    )  # fmt: skip
    group.add_argument("--format", metavar="NAME", help=f"{_listed(films.FORMATS)} (default: from the file name)")
    group.add_argument(
        "--most-megabytes", type=float, metavar="X", help="size to which the file is fitted by its bit rate"
    )
    group.add_argument(
        "--keep-frames", action="store_true", help="keep the folder with the frames after the film is done"
    )
    _add_run(group)


def _add_output(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("output")
    group.add_argument(
        "-o", "--output", metavar="FILE",
        help="where to save the picture: a file or a folder (default: here, named after the prompt); a folder whose "
        "name ends in a slash is made",
    )  # fmt: skip
    group.add_argument("--format", metavar="NAME", help=f"{_listed(images.FORMATS)} (default: from the file name)")
    group.add_argument(
        "--preview-every", metavar="N", default="0", help="save the current picture every N steps (default: 0, never)"
    )
    group.add_argument(
        "--timelapse", nargs="?", const="", metavar="FILE",
        help=f"save a video of its development, as {_listed(timelapse.FORMATS)} (default name: from the picture's)",
    )  # fmt: skip
    group.add_argument(
        "--tile-sheet",
        type=Path,
        metavar="FILE",
        help="also save the picture twice in each direction, to see its seams",
    )
    _add_run(group)


def _add_run(group: argparse._ArgumentGroup) -> None:
    """Flags for the device and for what is printed."""
    group.add_argument(
        "--device", metavar="NAME", help="auto, cpu, cuda, or a GPU by its number, such as cuda:1 (default: auto)"
    )
    group.add_argument(
        "--precision", choices=PRECISIONS, default=None,
        help="number format of the networks (default: auto, the best that the device supports)",
    )  # fmt: skip
    group.add_argument("--json", action="store_true", help="print one line of JSON for each preview and one at the end")
    group.add_argument("-q", "--quiet", action="store_true", help="print only the path of the file, and warnings")


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"
