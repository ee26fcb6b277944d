"""Build the request that follows up a finished picture. Pure; any thread."""

from __future__ import annotations

from dataclasses import replace

from bot.config import Limits
from bot.errors import InvalidJobSpec, OverLimit
from bot.jobs import Job, Origin
from bot.service.requests import MASKS, check_limits, compose, filmed, image_prompts_of, new_seed, reseeded, said, typed
from bot.service.values import FollowUp
from generator import GenerationRequest, InvalidRequest, Settings, Size

UPSCALE = 2
_OF_THE_PRIOR = ("composition", "candidates", "learning_rate", "init_weight", "ema", "translate")


def child_of(picture: GenerationRequest, change: FollowUp, base: Settings, limits: Limits) -> GenerationRequest:
    """Build the request that continues a picture as the change says; `picture` is the request that made it.

    Raises:
        InvalidJobSpec, OverLimit
    """
    if picture.film is not None and change.kind is Origin.CONTINUE and picture.stopped_at is not None:
        return replace(picture, stopped_at=None)
    if picture.film is not None and change.kind is not Origin.AGAIN:
        raise InvalidJobSpec("film_only_again")
    try:
        if change.kind is Origin.AGAIN:
            request = reseeded(picture)
        elif change.kind is Origin.ENLARGE:
            if picture.settings.upscaler != "none":
                raise InvalidJobSpec("enlarged_already")
            request = replace(picture, settings=picture.settings.merged(change.settings))
        else:
            request = _continuation(picture, change, base, limits)
        if change.kind is Origin.FILM:
            return filmed(request, {"from_start": True, **change.film}, limits)
    except InvalidRequest as exc:
        raise said(exc) from exc
    check_limits(request.settings, limits)
    return request


def parent_of(job: Job, number: int, kind: Origin) -> tuple[int | None, int | None]:
    """Job and number of the picture whose saved latent the new job continues.

    They are the same as before for `again` and `enlarge`, which make the same picture, and for the rest of a film.
    """
    if kind not in (Origin.AGAIN, Origin.ENLARGE) and not job.film_s:
        return job.id, number
    return (None, None) if job.parent_id is None else (job.parent_id, job.parent_number or 1)


def count_of(job: Job, change: FollowUp) -> int:
    """Number of pictures that the new job makes."""
    if change.count is not None:
        return change.count
    return job.count if change.kind is Origin.AGAIN else 1


def _continuation(picture: GenerationRequest, change: FollowUp, base: Settings, limits: Limits) -> GenerationRequest:
    """Build a request that begins with the finished picture."""
    old = picture.settings
    changes: dict[str, object] = {
        "start": "parent",
        "seed": new_seed(),
        "variation": 0.0,
        "init_weight": 0.0,
        # It begins with a finished picture: generating it small first would lose it.
        "coarse": 0.0,
        "upscaler": "none",
        # A child is painted whole.
        **dict.fromkeys(MASKS, "none"),
        "steps": change.steps or min(base.steps, limits.steps),
    }
    posed = base.composition == "posed"
    if posed:  # the prior paints children as well as first pictures, whatever the parent began with
        changes |= {name: getattr(base, name) for name in _OF_THE_PRIOR}
    prompt, image_prompts = picture.prompt, picture.image_prompts
    if change.kind is Origin.VARY:
        if not 0 < change.strength <= 1:
            raise InvalidJobSpec("out_of_range", field="strength", name="strength", low=0, high=1)
        changes["variation"] = change.strength
        if not posed:
            changes["steps"] = min(old.steps, limits.steps)
    elif change.kind is Origin.REMIX:
        prompt = compose(change.prompt or "", "", "")
        if kept := next((name for name in ("size", "start") if name in change.settings), None):
            raise InvalidJobSpec("remix_keeps", field=kept, name=kept)
        changes |= {name: typed(name, value) for name, value in change.settings.items()}
        image_prompts = image_prompts_of(change.image_prompts) or image_prompts
    elif change.kind is Origin.UPSCALE:
        size = Size(old.size.width * UPSCALE, old.size.height * UPSCALE)
        if max(size) > limits.size_px:
            raise OverLimit("over_upscale", most=limits.size_px, size=str(size))
        changes["size"] = size
        if posed:  # its drawings are drawn anew at that size: a step is for the preview, and costs as much as four
            changes["steps"] = change.steps or 1
    elif change.kind not in (Origin.CONTINUE, Origin.FILM):
        raise ValueError(f"{change.kind} does not go on from a picture")
    return replace(
        picture,
        prompt=prompt,
        image_prompts=image_prompts,
        init_image=None,
        mask=None,
        settings=old.merged(changes),
        parent=picture,
        stopped_at=None,
    )
