"""From a finished picture to the request that goes on from it. Pure; any thread."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bot.config import Limits
from bot.errors import InvalidJobSpec, OverLimit
from bot.jobs import Job, Origin
from bot.service.requests import check_count, check_limits, compose, new_seed, reseeded, said
from bot.service.values import FollowUp
from generator import GenerationRequest, InvalidRequest, Settings, Size

UPSCALE = 2


@dataclass(frozen=True)
class Child:
    """A request, and the picture whose saved latent it goes on from: job and number, where there is one."""

    request: GenerationRequest
    parent: tuple[int, int] | None
    count: int


def child_of(
    job: Job, number: int, picture: GenerationRequest, change: FollowUp, base: Settings, limits: Limits
) -> Child:
    """The request that goes on from picture `number` of a job as the change says; `picture` is what made it.

    Raises:
        InvalidWish, OverLimit
    """
    count = change.count if change.count is not None else job.count if change.kind is Origin.AGAIN else 1
    check_count(count, limits)
    try:
        if change.kind is Origin.AGAIN:
            request = reseeded(picture)
            origin = None if job.parent_id is None else (job.parent_id, job.parent_number or 1)
            child = Child(request, origin, count)
        else:
            child = Child(_onwards(picture, change, base, limits), (job.id, number), count)
    except InvalidRequest as exc:
        raise said(exc) from exc
    check_limits(child.request.settings, limits)
    return child


def _onwards(picture: GenerationRequest, change: FollowUp, base: Settings, limits: Limits) -> GenerationRequest:
    """A request that begins where the picture ended."""
    old = picture.settings
    changes: dict[str, object] = {
        "start": "parent",
        "seed": new_seed(),
        "variation": 0.0,
        "init_weight": 0.0,
        # It begins with a finished picture: painting it small first would lose it.
        "coarse": 0.0,
        "steps": change.steps or min(base.steps, limits.steps),
    }
    prompt = picture.prompt
    if change.kind is Origin.VARY:
        if not 0 < change.strength <= 1:
            raise InvalidJobSpec("out_of_range", field="strength", name="strength", low=0, high=1)
        changes["variation"] = change.strength
        changes["steps"] = min(old.steps, limits.steps)
    elif change.kind is Origin.REMIX:
        prompt = compose(change.prompt or "", "", "")
    elif change.kind is Origin.UPSCALE:
        size = Size(old.size.width * UPSCALE, old.size.height * UPSCALE)
        if max(size) > limits.size_px:
            raise OverLimit("over_upscale", most=limits.size_px, size=str(size))
        changes["size"] = size
    elif change.kind is not Origin.CONTINUE:
        raise ValueError(f"{change.kind} does not go on from a picture")
    return replace(
        picture, prompt=prompt, init_image=None, settings=old.merged(changes), parent=picture, stopped_at=None
    )
