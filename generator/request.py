"""Requests and results of a dream: frozen values. No torch; any thread."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from generator.errors import InvalidRequest
from generator.films.plan import FilmPlan
from generator.messages import Message
from generator.notation.palette import NONE, OF_PICTURE
from generator.notation.regions import PICTURE, margins_of
from generator.prompts import MAX_PROMPT_CHARACTERS, Scene, check_pull, parse_story
from generator.provenance import Provenance
from generator.settings import MIN_SIDE_PX, Settings, Size

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = [
    "MAX_GENERATIONS",
    "MAX_IMAGES",
    "MAX_IMAGE_BYTES",
    "MAX_IMAGE_PROMPTS",
    "MAX_PROMPT_CHARACTERS",
    "GenerationRequest",
    "ImagePrompt",
    "Picture",
    "Progress",
    "PromptLoss",
]

MAX_GENERATIONS = 32
MAX_IMAGE_PROMPTS = 16
MAX_IMAGES = 64
MAX_IMAGE_BYTES = 16 * 2**20
"""Total number of pictures in a request and its parents, each counted once; a recipe contains them."""

_PNG = b"\x89PNG\r\n\x1a\n"
MAX_PAINTED_PX = 1024
"""Longest side of a masked picture without a given size."""
_ROUNDING = 0.02
_MODELS_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")


@dataclass(frozen=True, kw_only=True)
class ImagePrompt:
    """A picture that attracts (weight > 0) or repels (weight < 0).

    `image` is a file's bytes as `generator.images.files.normalise` returns them (PNG, RGB, upright, bounded).
    `stop`: as in `text:weight:stop`, the distance at which it stops attracting; see `generator.prompts.TextPrompt`.

    Raises:
        InvalidRequest: for bytes that are not a PNG file and for invalid weights and stops.
    """

    image: bytes = field(repr=False)
    weight: float = 1.0
    stop: float = -math.inf

    def __post_init__(self) -> None:
        _check_image(self.image, "image_prompts")
        check_pull(self.weight, self.stop, Message("an image prompt"), "image_prompts")
        object.__setattr__(self, "weight", float(self.weight))
        object.__setattr__(self, "stop", float(self.stop))


@dataclass(frozen=True, kw_only=True)
class GenerationRequest:
    """A request for one picture. With the model files it is enough to reproduce the picture byte for byte.

    `prompt` is the text as typed: `a castle:1 | fog:-0.5 ^ the next scene`; `scenes` is the parsed form. It may be
    empty if there is an image prompt with a positive weight.
    `init_image` is normalised bytes (see ImagePrompt); required by `start: init`, and allowed only there.
    `mask` is a picture of the init image's shape, as `generator.images.files.normalise_mask` returns it: white is the
    region `picture` of `keep` and `repaint`, which need it.
    `parent` is the request whose final latent this one starts from (`start: parent`): to continue (same settings), to
    upscale (larger size), to vary (`variation` > 0) or to remix (other prompt).
    `models` is the name of the model set.
    `stopped_at` is the step after which the dream was ended early; the schedules of the settings still run over all of
    `settings.steps`, so a dream of this request finishes after that step, with the same picture.
    `film` makes it a request for a film, whose scenes are those of the prompt. Its steps are its frames, which
    `stopped_at` counts too; the other settings are those of its pictures.
    `pictures`: requests of pictures that a film goes through, one for each scene of its prompt.

    Raises:
        InvalidRequest: if the parts contradict each other.
    """

    prompt: str = ""
    image_prompts: tuple[ImagePrompt, ...] = ()
    init_image: bytes | None = field(default=None, repr=False)
    mask: bytes | None = field(default=None, repr=False)
    settings: Settings = field(default_factory=Settings)
    models: str = "starter"
    parent: GenerationRequest | None = None
    stopped_at: int | None = None
    film: FilmPlan | None = None
    pictures: tuple[GenerationRequest, ...] = ()

    def __post_init__(self) -> None:
        self._check_film()
        self._check_prompts()
        self._check_start()
        self._check_mask()
        self._check_likeness()
        if self.settings.palette == OF_PICTURE and self.coloured_by is None:
            text = "palette 'picture' takes the colours of an image prompt or of the init image; give one."
            raise InvalidRequest(Message(text), "palette")
        if not _MODELS_NAME.fullmatch(self.models):
            raise InvalidRequest(
                Message("{name} cannot name a model set; 'starter' is one.", name=repr(self.models[:40])), "models"
            )
        if self.stopped_at is not None and (
            type(self.stopped_at) is not int or not 1 <= self.stopped_at <= self.settings.steps
        ):
            raise InvalidRequest(
                Message(
                    "stopped_at must be a whole number from 1 to {steps}, the number of steps.",
                    steps=self.settings.steps,
                ),
                "stopped_at",
            )

    @property
    def scenes(self) -> tuple[Scene, ...]:
        """The parsed prompt; empty if only image prompts attract."""
        return parse_story(self.prompt, beside_pictures=any(item.weight > 0 for item in self.image_prompts))

    @property
    def shows_ground(self) -> bool:
        """True if a posed composition has a picture to begin with, so that it needs no words."""
        return self.settings.composition == "posed" and any(item.weight > 0 for item in self.image_prompts)

    @property
    def generation(self) -> int:
        """Number of ancestors; 0 without a parent."""
        depth, request = 0, self.parent
        while request is not None:
            depth, request = depth + 1, request.parent
        return depth

    @property
    def images(self) -> frozenset[bytes]:
        """Every picture in this request and its parents, each once."""
        found: set[bytes] = set()
        request: GenerationRequest | None = self
        while request is not None:
            found.update(item.image for item in request.image_prompts)
            found.update(image for image in (request.init_image, request.mask) if image is not None)
            for picture in request.pictures:
                found.update(picture.images)
            request = request.parent
        return frozenset(found)

    def _check_prompts(self) -> None:
        if len(self.image_prompts) > MAX_IMAGE_PROMPTS:
            raise InvalidRequest(
                Message(
                    "There are {count} image prompts; at most {most} are allowed.",
                    count=len(self.image_prompts),
                    most=MAX_IMAGE_PROMPTS,
                ),
                "image_prompts",
            )
        if self.image_prompts and not self.prompt and all(item.weight <= 0 for item in self.image_prompts):
            raise InvalidRequest(
                Message("No image prompt has a positive weight; say with words or a picture what to come near to."),
                "image_prompts",
            )
        if self.init_image is not None:
            _check_image(self.init_image, "init_image")
        _ = self.scenes
        if len(self.images) > MAX_IMAGES:
            text = "This request and its parents hold over {most} pictures."
            raise InvalidRequest(Message(text, most=MAX_IMAGES), "image_prompts")
        if sum(map(len, self.images)) > MAX_IMAGE_BYTES:
            text = "The pictures of this request and its parents take over {most} MiB; use fewer."
            raise InvalidRequest(Message(text, most=MAX_IMAGE_BYTES // 2**20), "image_prompts")

    def _check_mask(self) -> None:
        settings = self.settings
        if settings.masked and self.init_image is None:
            text = "keep, repaint and outpaint change a part of a picture; give an init image."
            raise InvalidRequest(Message(text), "mask")
        by_picture = PICTURE in (settings.keep, settings.repaint)
        if by_picture and self.mask is None:
            raise InvalidRequest(Message("The region 'picture' needs a mask; give one, or name the region."), "mask")
        if self.mask is None:
            return
        if not by_picture:
            raise InvalidRequest(Message("A mask goes with keep or repaint 'picture', and only with those."), "mask")
        _check_image(self.mask, "mask")
        ours, theirs = (size_of(image) for image in (self.mask, self.init_image or self.mask))
        # Both were made smaller, and rounded to pixels, on their own.
        if abs(ours.width * theirs.height - ours.height * theirs.width) > _ROUNDING * ours.width * theirs.height:
            text = "The mask has another shape ({mask}) than the init image ({picture}); make them alike."
            raise InvalidRequest(Message(text, mask=str(ours), picture=str(theirs)), "mask")

    @property
    def coloured_by(self) -> bytes | None:
        """The picture whose colours `palette: picture` takes: the first image prompt that attracts, or the init image.

        One with the weight 0 gives its colours alone.
        """
        return next((item.image for item in self.image_prompts if item.weight >= 0), self.init_image)

    def _check_likeness(self) -> None:
        if self.settings.likeness and not any(item.weight > 0 for item in self.image_prompts):
            text = "likeness holds the picture to an image prompt; give one with a positive weight."
            raise InvalidRequest(Message(text), "likeness")

    def _check_film(self) -> None:
        if self.pictures and self.film is None:
            raise InvalidRequest(Message("Only a film goes through pictures."), "pictures")
        if self.film is None:
            return
        if self.pictures and len(self.pictures) != len(self.scenes):
            said = "The film goes through {pictures} pictures and has {scenes} scenes; give each picture one."
            raise InvalidRequest(Message(said, pictures=len(self.pictures), scenes=len(self.scenes)), "pictures")
        for picture in self.pictures:
            if picture.film is not None or picture.models != self.models:
                said = "A film goes through pictures of its own models, and through no films."
                raise InvalidRequest(Message(said), "pictures")
        without = {"upscaler": NONE}
        pictures = (replace(picture, settings=picture.settings.merged(without)) for picture in self.pictures)
        object.__setattr__(self, "pictures", tuple(pictures))
        # Its frames stay as they are: an upscaler takes longer for each than the rest of its making.
        object.__setattr__(self, "settings", self.settings.merged({"steps": self.film.frames, "upscaler": NONE}))
        self.film.shots(max(1, len(self.scenes)))

    def _check_start(self) -> None:
        start = self.settings.start
        if start == "init" and self.init_image is None:
            raise InvalidRequest(
                Message("start 'init' needs an init image; give one or choose another start."), "start"
            )
        if start != "init" and self.init_image is not None:
            text = "An init image goes with start 'init', not with {start}."
            raise InvalidRequest(Message(text, start=repr(start)), "start")
        if (start == "parent") != (self.parent is not None):
            raise InvalidRequest(Message("start 'parent' goes with a parent picture, and only with one."), "start")
        if self.generation > MAX_GENERATIONS:
            text = "This picture already goes back over {most} others; use it as an init image."
            raise InvalidRequest(Message(text, most=MAX_GENERATIONS), "start")


@dataclass(frozen=True, kw_only=True)
class PromptLoss:
    """Contribution of one prompt: its text (or `picture n`), weighted loss and cosine similarity (-1..1)."""

    text: str
    loss: float
    similarity: float


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Progress of a dream after `step` of `steps` steps.

    Times are in seconds; `similarity` is as in PromptLoss, the weighted mean over the positive prompts.
    """

    step: int
    steps: int
    loss: float
    similarity: float
    prompts: tuple[PromptLoss, ...]
    seconds_per_step: float
    seconds_left: float


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A finished picture: the pixels, the request that reproduces it, and the last progress.

    If the dream was ended early, `request.stopped_at` is the step after which. `made_with` is its provenance.
    """

    image: Image
    request: GenerationRequest
    progress: Progress
    warnings: tuple[str, ...] = ()
    made_with: Provenance | None = None


def canvas_size(image: bytes, settings: Settings, most: int) -> Size:
    """Size for a picture of which only a part is painted: the init image's with its margins, at most `most` a side."""
    margins = margins_of(settings.outpaint)
    width, height = size_of(image)
    wide, high = width * margins.across, height * margins.down
    share = min(1.0, most / max(wide, high))
    return Size(*(min(most, max(MIN_SIDE_PX, round(side * share))) for side in (wide, high)))


def size_of(image: bytes) -> Size:
    """Size of a normalised picture, from its header."""
    return Size(int.from_bytes(image[16:20], "big"), int.from_bytes(image[20:24], "big"))


def _check_image(image: object, field_name: str) -> None:
    if not isinstance(image, bytes) or not image.startswith(_PNG):
        raise InvalidRequest(Message("A picture must go through generator.images.normalise first."), field_name)


@dataclass(frozen=True)
class Answer:
    """Words for a picture and their share, 0..1, among all words of their kind."""

    words: str
    share: float


@dataclass(frozen=True)
class Description:
    """A picture in words, likeliest first; each kind may be empty."""

    things: tuple[Answer, ...]
    colours: tuple[Answer, ...]
    scenes: tuple[Answer, ...]
    styles: tuple[Answer, ...]
