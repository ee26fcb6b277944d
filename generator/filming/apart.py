"""Films and music of strangers, read in a separate process: `python -m generator.filming.apart`. Any thread; blocking.

Decoders of films are written in C as those of pictures are, and there are far more of them: the process has the same
bounds as generator.images.sandbox, and more time.
"""

from __future__ import annotations

import json
import sys
import wave
from dataclasses import dataclass
from pathlib import Path

from generator.errors import GeneratorError
from generator.filming.folder import SOUND, FilmFolder
from generator.filming.source import Source, extract, look_at
from generator.films.plan import MAX_SECONDS
from generator.images.sandbox import REFUSED, bounded, leave, refused, run_apart
from generator.settings import Size

_SECONDS = 90
"""Time that a process may take; films of two minutes as phones make them need a third of it."""
_MODULE = "generator.filming.apart"


@dataclass(frozen=True)
class UntrustedFilm:
    """A film or music of a stranger: its file, and the name by which the person knows it."""

    path: Path
    name: str

    def look(self) -> Source:
        """Length, rate, size and sound of a film.

        Raises:
            InvalidRequest: if it cannot be read, has no frames, or takes too much memory or time.
        """
        return Source(**json.loads(self._run("restyle", "look")))

    def extract(self, folder: Path, size: Size, frames: int, fps: int) -> None:
        """Write the pictures that frames of a new film restyle into its folder.

        Raises:
            InvalidRequest: as `look`.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._run("restyle", "extract", str(folder), str(size), str(frames), str(fps))

    def hear(self, folder: Path, seconds: float = MAX_SECONDS) -> Path:
        """Write the sound into a folder, as plain samples, and return its path; it ends after some seconds.

        Raises:
            InvalidRequest: if there is none, it cannot be read, or without PyAV.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._run("music", "hear", str(folder), str(seconds))
        return folder / SOUND

    def pulse(self, seconds: float, frames: int, fps: int, listen_to: str) -> tuple[float, ...]:
        """Strength of the music in each frame, as generator.films.music.pulse_of gives it.

        Raises:
            InvalidRequest: as `hear`; also if it is silent.
        """
        return tuple(json.loads(self._run("music", "pulse", str(seconds), str(frames), str(fps), listen_to)))

    def _run(self, field: str, *arguments: str) -> bytes:
        return run_apart(
            _MODULE, [arguments[0], str(self.path), *arguments[1:]], field, seconds=_SECONDS, known_as=self.name
        )


def write_sound(path: Path, folder: Path, seconds: float) -> None:
    """Write the sound of a file into a folder: at most so many seconds, 16 bits, stereo.

    Raises:
        InvalidRequest: if there is none, it cannot be read, or without PyAV.
    """
    from generator.films.music import SOUND_RATE, read_sound  # It takes NumPy, which only this process needs.

    beside = folder / f".{SOUND}.part"
    with wave.open(str(beside), "wb") as out:
        out.setnchannels(2)
        out.setsampwidth(2)
        out.setframerate(SOUND_RATE)
        for piece in read_sound(path, seconds):
            out.writeframesraw(piece)
    beside.replace(folder / SOUND)


def main() -> int:
    """Do what the arguments say; write the result, or the error message."""
    bounded(_SECONDS)
    task, path, *rest = sys.argv[1:]
    try:
        if task == "look":
            sys.stdout.write(json.dumps(look_at(Path(path))._asdict()))
        elif task == "extract":
            width, height = map(int, rest[1].split("x"))
            extract(Path(path), FilmFolder(Path(rest[0])), Size(width, height), int(rest[2]), int(rest[3]))
        elif task == "pulse":
            from generator.films.music import pulse_of, read_music

            samples = read_music(Path(path), float(rest[0]))
            sys.stdout.write(json.dumps(pulse_of(samples, int(rest[1]), int(rest[2]), rest[3])))
        else:
            write_sound(Path(path), Path(rest[0]), float(rest[1]))
    except GeneratorError as exc:
        sys.stdout.buffer.write(refused(exc.message))
        return REFUSED
    return 0


if __name__ == "__main__":
    leave(main())
