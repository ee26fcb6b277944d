"""The plan of a film: its length, camera and shots. Frozen; any thread.

A film is a story. Each of its scenes is shown in one or several shots of at most `shot` seconds. A shot has a picture
of its own, through which the camera moves; at its end it dissolves into the next.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

from generator.errors import InvalidRequest
from generator.films.camera import MAX_TILT, Camera
from generator.films.keyframes import MAX_KEYS, Track, check_times
from generator.messages import Message

MAX_SECONDS = 120.0
MAX_FRAMES = 5000
MOVES = ("zoom", "x", "y", "turn", "tilt")
LISTENS_TO = ("beats", "bass", "middle", "treble")
"""Parts of music that a film can follow."""
_FAR = 1e3
_RANGES = {
    "zoom": (1e-12, 1e12),
    "x": (-_FAR, _FAR),
    "y": (-_FAR, _FAR),
    "turn": (-36 * _FAR, 36 * _FAR),
    "tilt": (-MAX_TILT, MAX_TILT),
}
_REST = Track()


class Shot(NamedTuple):
    """One picture of the film.

    Attributes:
        scene: of the story.
        variant: number of earlier shots of its scene; each has another seed.
        start, end: seconds; the shot before has dissolved into it at its start.
        anchor: second at which the camera sees the picture as it was painted.
    """

    scene: int
    variant: int
    start: float
    end: float
    anchor: float


class Moment(NamedTuple):
    """Content of a frame: a shot, and the next one as far as it has come.

    Attributes:
        share: of the next shot, 0..1.
        shot, following: numbers of the two shots.
        camera: position for each of them.
    """

    shot: int
    following: int
    share: float
    cameras: tuple[Camera, Camera]


def _number(default: float, low: float, high: float, help_text: str) -> Any:  # noqa: ANN401 - dataclasses.field is Any too
    return field(default=default, metadata={"low": low, "high": high, "help": help_text})


@dataclass(frozen=True, kw_only=True)
class FilmPlan:
    """Everything that shapes a film besides the settings of its pictures; frozen and always valid.

    Attributes:
        times: seconds at which the scenes are reached; none divides the film evenly.
        source: SHA-256 of a film whose pictures are restyled, one for each frame, without shots and a camera.
        pulse: strength of the music in each frame, 0..1; frames behind its end have none.
        zoom: enlargement; the other moves are as in Camera.

    Raises:
        InvalidRequest: for a value that is out of range.
    """

    seconds: float = _number(4.0, 0.5, MAX_SECONDS, "length of the film in seconds")
    fps: int = _number(12, 1, 30, "frames a second")
    picture_steps: int = _number(2, 1, 5000, "improvement steps of the picture of each shot")
    frame_steps: int = _number(1, 1, 500, "improvement steps of each frame")
    carry: float = _number(
        0.2, 0.0, 1.0, "share of the last frame in the next: 0 holds to the picture of the shot, 1 lets the film wander"
    )
    between: int = _number(0, 0, 7, "frames computed from their neighbours after each painted one")
    shot: float = _number(4.0, 0.0, MAX_SECONDS, "longest time with one picture, in seconds; 0 sets no limit")
    dissolve: float = _number(1.0, 0.0, 30.0, "seconds in which a shot becomes the next")
    depth: float = _number(0.6, 0.0, 1.0, "share of the camera's way by which the ground behind a thing moves")
    loop: bool = field(default=False, metadata={"help": "end where the film began"})
    from_start: bool = field(default=False, metadata={"help": "show the first picture as it is in the first frame"})
    pulse_zoom: float = _number(0.12, -0.9, 5.0, "enlargement at a full beat of the music, as a share")
    pulse_turn: float = _number(0.0, -180.0, 180.0, "degrees by which a full beat of the music turns the picture")
    pulse_weight: float = _number(
        0.0, -1.0, 20.0, "share by which a full beat of the music changes the weights of all prompts but the first"
    )
    source: str = ""
    times: tuple[float, ...] = ()
    pulse: tuple[float, ...] = ()
    zoom: Track = _REST
    x: Track = _REST
    y: Track = _REST
    turn: Track = _REST
    tilt: Track = _REST

    def __post_init__(self) -> None:
        for item in fields(self):
            object.__setattr__(self, item.name, _checked(item.name, item.metadata, getattr(self, item.name)))
        if not 2 <= self.frames <= MAX_FRAMES:
            said = "A film has from 2 to {most} frames; {seconds} s at {fps} a second are {count}."
            seconds = f"{self.seconds:g}"
            text = Message(said, seconds=seconds, fps=self.fps, count=self.frames, most=MAX_FRAMES)
            raise InvalidRequest(text, "seconds")
        check_times(self.times, self.seconds, "prompt")
        for name in MOVES:
            check_times([time_s for time_s, _ in getattr(self, name).keys], self.seconds, name)

    @property
    def frames(self) -> int:
        """Number of frames."""
        return round(self.seconds * self.fps)

    def shots(self, scenes: int) -> tuple[Shot, ...]:
        """The shots of a story of so many scenes, in order.

        Raises:
            InvalidRequest: if there are not as many times as scenes.
        """
        if self.times and len(self.times) != scenes:
            said = "The film has {scenes} scenes and {times} times; give each scene one."
            raise InvalidRequest(Message(said, scenes=scenes, times=len(self.times)), "prompt")
        starts = [0.0, *self.times[1:]] if self.times else [self.seconds * n / scenes for n in range(scenes)]
        shots: list[Shot] = []
        for scene, (start, end) in enumerate(zip(starts, [*starts[1:], self.seconds], strict=True)):
            count = max(1, math.ceil((end - start) / self.shot - 0.25)) if self.shot else 1
            for variant in range(count):
                first, last = (start + (end - start) * part / count for part in (variant, variant + 1))
                anchor = 0.0 if self.from_start and not shots else (first + last) / 2
                shots.append(Shot(scene, variant, first, last, anchor))
        return tuple(shots)

    def moment(self, shots: tuple[Shot, ...], time_s: float) -> Moment:
        """Content of the film at a time. A loop dissolves into its own beginning."""
        number = max(n for n, shot in enumerate(shots) if shot.start <= time_s or n == 0)
        shot, last = shots[number], number == len(shots) - 1
        following = 0 if last else number + 1
        beat = self._beat(round(time_s * self.fps))
        mine = self._camera(time_s).since(self._camera(shot.anchor)).moved(beat)
        if last and not self.loop:
            return Moment(number, number, 0.0, (mine, mine))
        then = shots[following]
        length = min(self.dissolve, shot.end - shot.start, then.end - then.start)
        begun = shot.end - length
        share = 0.0 if time_s <= begun or not length else (time_s - begun) / length
        theirs = self._camera(time_s).since(self._camera(then.anchor)).moved(beat)
        if last:  # as one turn of the loop later
            theirs = theirs.moved(self._camera(self.seconds).since(self._camera(0.0)), -1)
        return Moment(number, following, share * share * (3 - 2 * share), (mine, theirs))

    def _camera(self, time_s: float) -> Camera:
        zoom = math.log(self.zoom.at(time_s)) if self.zoom.keys else 0.0
        return Camera(zoom, *(getattr(self, name).at(time_s) for name in MOVES[1:]))

    def beat(self, frame: int) -> float:
        """Strength of the music in a frame, 0..1."""
        return self.pulse[frame] if frame < len(self.pulse) else 0.0

    def _beat(self, frame: int) -> Camera:
        strength = self.beat(frame)
        return Camera(math.log1p(self.pulse_zoom * strength), turn=self.pulse_turn * strength)

    def as_dict(self) -> dict[str, object]:
        """The plan as plain JSON values; `read_plan` reads them."""
        return {item.name: _plain(getattr(self, item.name)) for item in fields(self)}


def read_plan(values: Mapping[str, object]) -> FilmPlan:
    """Read a plan as `as_dict` writes it; what it lacks has its default.

    Raises:
        InvalidRequest: for an unknown name or a wrong value.
    """
    return read_values({name: _read(name, value) for name, value in values.items()})


def read_values(values: Mapping[str, object]) -> FilmPlan:
    """A plan of values by name, of which any may be wrong.

    Raises:
        InvalidRequest: for an unknown name or a wrong value.
    """
    known = {item.name for item in fields(FilmPlan)}
    for name in values:
        if name not in known:
            said = "A film has no {name}, only {known}."
            raise InvalidRequest(Message(said, name=repr(name[:40]), known=", ".join(sorted(known))), "film")
    return FilmPlan(**values)  # type: ignore[arg-type]  # __post_init__ checks each type


def _plain(value: object) -> object:
    if isinstance(value, Track):
        return [list(key) for key in value.keys]
    return list(value) if isinstance(value, tuple) else value


def _read(name: str, value: object) -> object:
    if name in ("times", "pulse"):
        return tuple(value) if isinstance(value, list) else value
    if name not in MOVES:
        return value
    if not isinstance(value, list) or not all(isinstance(key, list) and len(key) == 2 for key in value):
        raise _wrong(name, value)
    return Track(tuple((key[0], key[1]) for key in value))


def _checked(name: str, metadata: Mapping[str, Any], value: object) -> object:
    if name in MOVES:
        return _checked_track(name, value)
    if name in ("times", "pulse"):
        count, most = (MAX_KEYS, MAX_SECONDS) if name == "times" else (MAX_FRAMES, 1.0)
        several = isinstance(value, tuple) and len(value) <= count
        if not isinstance(value, tuple) or not several or not all(_is_number(item, 0, most) for item in value):
            raise _wrong(name, value)
        return tuple(map(float, value))
    if name == "source":
        if not isinstance(value, str) or not re.fullmatch(r"(?:[0-9a-f]{64})?", value):
            raise _wrong(name, value)
        return value
    if "low" not in metadata:
        if not isinstance(value, bool):
            raise _wrong(name, value)
        return value
    whole = isinstance(FilmPlan.__dataclass_fields__[name].default, int)
    low, high = metadata["low"], metadata["high"]
    if not _is_number(value, low, high) or (whole and not isinstance(value, int)):
        kind = Message("a whole number") if whole else Message("a number")
        said = "{name} must be {kind} from {low} to {high}, not {given}."
        text = Message(said, name=name, kind=kind, low=f"{low:g}", high=f"{high:g}", given=repr(value)[:40])
        raise InvalidRequest(text, name)
    return value if whole else float(value)  # type: ignore[arg-type]


def _checked_track(name: str, value: object) -> Track:
    low, high = _RANGES[name]
    if not isinstance(value, Track) or len(value.keys) > MAX_KEYS:
        raise _wrong(name, value)
    for time_s, amount in value.keys:
        if not _is_number(time_s, 0, MAX_SECONDS) or not _is_number(amount, low, high):
            said = "{name} must be from {low} to {high}, not {given}."
            raise InvalidRequest(
                Message(said, name=name, low=f"{low:g}", high=f"{high:g}", given=str(amount)[:20]), name
            )
    return Track(tuple((float(time_s), float(amount)) for time_s, amount in value.keys))


def _is_number(value: object, low: float, high: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


def _wrong(name: str, value: object) -> InvalidRequest:
    said = "{name} of a film cannot be {given}."
    return InvalidRequest(Message(said, name=name, given=repr(value)[:60]), name)
