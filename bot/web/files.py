"""Files of the web gallery: their addresses, which change with their contents, and their bytes. Any thread, blocking.

A name holds a hash of the file's contents, so that a browser that resumes a download never gets a part of another file.
Pictures are made anew, without the recipe in the stored file; the newest are kept in memory.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from enum import StrEnum

from bot import imaging
from bot.files import DataFolder, Kind

CACHE_BYTES = 32 * 2**20
CACHED_DIGESTS = 20_000
SMALL_PX, FULL_PX = 512, 4_096
VERSION = "1"
"""Changes when the same stored file makes other bytes than before."""
NAME = re.compile(
    r"(?P<job>[1-9][0-9]{0,17})-(?P<number>[1-9])-(?P<form>small|full|timelapse|film|recipe)"
    r"-(?P<digest>[0-9a-f]{20})\.(?P<ending>webp|mp4|json)"
)


class Form(StrEnum):
    """The form in which a picture is sent."""

    SMALL = "small"
    FULL = "full"
    TIMELAPSE = "timelapse"
    FILM = "film"
    """`number` is that of a part of the film."""
    RECIPE = "recipe"


TYPES = {"webp": "image/webp", "mp4": "video/mp4", "json": "application/json"}
_KINDS = {
    Form.SMALL: (Kind.PICTURE,),
    Form.FULL: (Kind.PICTURE,),
    Form.TIMELAPSE: (Kind.TIMELAPSE,),
    Form.FILM: (Kind.FILM, Kind.FILM_WEBP),
}


@dataclass(frozen=True)
class WebFile:
    """A file by its address."""

    job_id: int
    number: int
    form: Form
    digest: str
    ending: str

    @classmethod
    def read(cls, name: str) -> WebFile | None:
        """The file of a name; None if it cannot be one of ours."""
        found = NAME.fullmatch(name)
        if found is None:
            return None
        return cls(int(found["job"]), int(found["number"]), Form(found["form"]), found["digest"], found["ending"])

    @property
    def name(self) -> str:
        """Its name in an address."""
        return f"{self.job_id}-{self.number}-{self.form}-{self.digest}.{self.ending}"


@dataclass
class WebFiles:
    """Files by picture and form."""

    files: DataFolder
    _digests: OrderedDict[tuple[object, ...], str] = field(default_factory=OrderedDict)
    _made: OrderedDict[WebFile, bytes] = field(default_factory=OrderedDict)
    _made_bytes: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def find(self, job_id: int, number: int, form: Form) -> WebFile | None:
        """The file of a picture in a form other than RECIPE, as it is now; None if there is none.

        Raises:
            FilesError: if it cannot be read.
        """
        for kind in _KINDS[form]:
            digest = self._digest(kind, job_id, number)
            if digest is not None:
                ending = "webp" if form in (Form.SMALL, Form.FULL) else kind.value[1]
                return WebFile(job_id, number, form, _digest_of(f"{form} {VERSION} {digest}".encode()), ending)
        return None

    def bytes_of(self, file: WebFile) -> bytes | None:
        """The bytes of a file in a form other than RECIPE; None if it has other contents now, or is gone.

        Raises:
            FilesError: if it cannot be read.
        """
        with self._lock:
            if (known := self._made.get(file)) is not None:
                self._made.move_to_end(file)
        now = self.find(file.job_id, file.number, file.form)
        if now != file:
            return None
        if known is not None:
            return known
        kind = next(kind for kind in _KINDS[file.form] if file.ending == kind.value[1] or kind is Kind.PICTURE)
        data = self.files.read(kind, file.job_id, file.number)
        if data is None or _name_of(file, data) != file.digest:
            return None  # It was replaced between the two looks.
        if kind is not Kind.PICTURE:
            return data
        made = imaging.for_web(data, SMALL_PX if file.form is Form.SMALL else FULL_PX).data
        self._keep(file, made)
        return made

    def _digest(self, kind: Kind, job_id: int, number: int) -> str | None:
        """The hash of a stored file, which is read again only if it was written since."""
        mark = self.files.mark(kind, job_id, number)
        if mark is None:
            return None
        key = (kind, job_id, number, *mark)
        with self._lock:
            known = self._digests.get(key)
        if known is None and (data := self.files.read(kind, job_id, number)) is not None:
            known = _digest_of(data)
            with self._lock:
                self._digests[key] = known
                while len(self._digests) > CACHED_DIGESTS:
                    self._digests.popitem(last=False)
        return known

    def _keep(self, file: WebFile, data: bytes) -> None:
        with self._lock:
            if file not in self._made:
                self._made[file] = data
                self._made_bytes += len(data)
            while self._made_bytes > CACHE_BYTES:
                self._made_bytes -= len(self._made.popitem(last=False)[1])


def recipe_file(job_id: int, number: int, recipe: str) -> WebFile:
    """The file of a recipe."""
    return WebFile(job_id, number, Form.RECIPE, _digest_of(recipe.encode()), "json")


def _name_of(file: WebFile, data: bytes) -> str:
    return _digest_of(f"{file.form} {VERSION} {_digest_of(data)}".encode())


def _digest_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:20]
