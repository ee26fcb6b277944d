"""The folder of a film in the making: its recipe, the pictures of its shots and its frames, each a file.

A file is there whole or not at all, and a frame follows from what the folder holds, so a film goes on from its last
frame whenever its process ended, byte for byte.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from PIL import Image

from generator.errors import GeneratorError, InvalidRequest
from generator.images.files import write_file
from generator.messages import Message
from generator.recipe import MAX_FILE_BYTES, request_from_json, request_to_json
from generator.request import GenerationRequest

RECIPE, SOUND = "film.json", "sound"


class FilmFolder:
    """Files of one film below `path`, which is made if it is not there."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def begin(self, request: GenerationRequest) -> None:
        """Begin the film of a request, or go on with it if the folder holds the same, even if it ends elsewhere.

        Raises:
            InvalidRequest: if the folder holds another film.
            GeneratorError: if it cannot be written to.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            recipe = self.path / RECIPE
            if not recipe.exists():
                write_file(recipe, request_to_json(request).encode())
            elif replace(self.request(), stopped_at=None) != replace(request, stopped_at=None):
                said = "The folder {folder} holds another film; name another one."
                raise InvalidRequest(Message(said, folder=self.path.name[-60:]), "film")
        except OSError as exc:
            raise self._unusable(exc) from exc

    def request(self) -> GenerationRequest:
        """The request of the film that the folder holds.

        Raises:
            InvalidRequest: if it holds none.
        """
        try:
            with (self.path / RECIPE).open("rb") as file:
                text = file.read(MAX_FILE_BYTES + 1).decode()
        except (OSError, UnicodeDecodeError) as exc:
            said = "The folder {folder} holds no film."
            raise InvalidRequest(Message(said, folder=self.path.name[-60:]), "film") from exc
        return request_from_json(text)

    def frame(self, number: int) -> Path:
        """File of a frame."""
        return self.path / f"frame-{number:05}.png"

    def shot(self, number: int) -> Path:
        """File of a shot's picture."""
        return self.path / f"shot-{number:03}.png"

    @property
    def sound(self) -> Path:
        """File of the sound that the film is to have, if any."""
        return self.path / SOUND

    def source(self, number: int) -> Path:
        """File of a picture that a frame restyles."""
        return self.path / f"source-{number:05}.png"

    def frames(self) -> list[Path]:
        """The frames so far: from the first to the last before one that is missing."""
        found: list[Path] = []
        while (path := self.frame(len(found))).exists():
            found.append(path)
        return found

    def sound_frames(self) -> int:
        """Number of frames that can be read; a damaged one is removed with all behind it, to be painted again.

        Raises:
            GeneratorError: if it cannot be removed.
        """
        frames = self.frames()
        for number, path in enumerate(frames):
            try:
                self.read(path)
            except GeneratorError:
                self._remove(frames[number:])
                return number
        return len(frames)

    def write(self, path: Path, image: Image.Image) -> None:
        """Write a picture of the film.

        Raises:
            GeneratorError: if the disk does not take it.
        """
        from io import BytesIO

        out = BytesIO()
        image.save(out, "PNG", compress_level=1)
        try:
            write_file(path, out.getvalue())
        except OSError as exc:
            raise self._unusable(exc) from exc

    def read(self, path: Path) -> Image.Image:
        """Read a picture of the film.

        Raises:
            GeneratorError: if it cannot be read.
        """
        try:
            with Image.open(path, formats=["PNG"]) as image:
                return image.convert("RGB")
        except OSError as exc:
            raise self._unusable(exc) from exc

    def remove(self) -> None:
        """Remove the files of the film, and the folder if nothing else is in it."""
        ours = ("frame-*.png", "shot-*.png", "source-*.png", ".*.part", RECIPE, SOUND)
        try:
            for path in (path for pattern in ours for path in self.path.glob(pattern)):
                path.unlink(missing_ok=True)
            self.path.rmdir()
        except OSError:
            return  # somebody keeps other files there

    def _remove(self, paths: Sequence[Path]) -> None:
        try:
            for path in reversed(paths):
                path.unlink()
        except OSError as exc:
            raise self._unusable(exc) from exc

    def _unusable(self, exc: OSError) -> GeneratorError:
        said = "The folder {folder} of the film cannot be used: {reason}."
        return GeneratorError(Message(said, folder=self.path.name[-60:], reason=exc.strerror or "a file is damaged"))
