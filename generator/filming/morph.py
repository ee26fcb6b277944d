"""Requests for films that go through finished pictures. No torch; any thread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from generator.errors import InvalidRequest
from generator.films.prompts import story_through
from generator.films.templates import plan_film
from generator.messages import Message
from generator.prompts import MAX_SCENES
from generator.request import GenerationRequest
from generator.settings import Settings


def film_through(
    pictures: Sequence[GenerationRequest], given: Mapping[str, object], settings: Settings
) -> GenerationRequest:
    """The request for a film from picture to picture; values of its plan are as for `plan_film`.

    It stands still unless the values say otherwise.

    Raises:
        InvalidRequest: for too few or too many pictures, pictures of several models, and wrong values.
    """
    if not 2 <= len(pictures) <= MAX_SCENES:
        raise InvalidRequest(Message("A film goes through 2 to {most} pictures.", most=MAX_SCENES), "pictures")
    prompt = story_through([picture.scenes for picture in pictures])
    story, plan = plan_film(prompt, {"template": "still", **given}, settings)
    return GenerationRequest(
        prompt=story, settings=settings, models=pictures[0].models, film=plan, pictures=tuple(pictures)
    )
