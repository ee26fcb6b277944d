"""A database as plain values: recorded by the version that wrote it, and compared with those that later ones read."""

from __future__ import annotations

import hashlib

from bot.jobs import Job, StoredPicture
from bot.store import Store
from tests.bot.real_service import GUILD

JOB = (
    "guild_id", "channel_id", "user_id", "message_id", "prompt", "models", "parent_id", "parent_number", "priority",
    "count", "private", "timelapse", "age_restricted", "locale", "attempts", "finish_after", "waiting_since",
    "post_tries", "told", "created_at", "started_at", "painted_at", "ended_at", "paint_s",
)  # fmt: skip
PICTURE = ("number", "seed", "width", "height", "similarity", "steps", "stopped_at", "flagged", "has_timelapse")


def keeps(now: object, then: object) -> bool:
    """Return true if a JSON value equals the recorded one; objects may have more keys now, such as a new setting."""
    if isinstance(now, dict) and isinstance(then, dict):
        return all(key in now and keeps(now[key], then[key]) for key in then)
    if isinstance(now, list) and isinstance(then, list):
        return len(now) == len(then) and all(map(keeps, now, then))
    return now == then


async def database_facts(store: Store) -> dict[str, object]:
    """All jobs with recipes and pictures, the settings of admins, and the state kept for the next start."""
    jobs = {}
    for job_id in [*await store.pictures.guild_jobs(GUILD), *await store.pictures.guild_jobs(GUILD + 1)]:
        job = await store.jobs.get(job_id)
        assert job is not None
        recipe = await store.jobs.recipe(job_id) or ""
        jobs[str(job_id)] = {
            **_job(job),
            "recipe": hashlib.sha256(recipe.encode()).hexdigest(),
            "pictures": [_picture(picture) for picture in await store.jobs.pictures(job_id)],
        }
    return {
        "jobs": jobs,
        "guilds": {str(guild_id): await _guild(store, guild_id) for guild_id in (GUILD, GUILD + 1)},
        "known": sorted(await store.guilds.known()),
        "note": await store.figures.note("commands"),
        "speeds": sorted([*key[:4], step_s] for key, step_s in (await store.figures.speeds()).items()),
        "states": await store.figures.states(),
        "people": {str(user_id): await store.pictures.person_facts(user_id) for user_id in (1, 2)},
    }


def _job(job: Job) -> dict[str, object]:
    state = {"state": job.state.value, "origin": job.origin.value, "settings": job.settings.as_dict()}
    return state | {name: getattr(job, name) for name in JOB} | {"has_reason": job.reason is not None}


def _picture(picture: StoredPicture) -> dict[str, object]:
    return {name: getattr(picture, name) for name in PICTURE} | {"warnings": len(picture.warnings)}


async def _guild(store: Store, guild_id: int) -> dict[str, object]:
    table = store.guilds
    return {
        "settings": await table.settings(guild_id),
        "roles": {str(role_id): limits for role_id, limits in (await table.role_limits(guild_id)).items()},
        "channels": {str(channel_id): rule for channel_id, rule in (await table.channels(guild_id)).items()},
        "styles": await table.styles(guild_id),
        "rules": list(await table.rules(guild_id)),
    }
