"""The web gallery of a server: pictures that everyone who has its secret link can see. Event loop.

Only those who manage a server make a link, see it and revoke it; it is valid until then. A picture is shown if and only
if all of this holds at the time of the request:

- it belongs to the link's server, and Discord has confirmed its message, of whose deletion we do not know;
- it is not private, was not hidden, and Discord's moderation did not refuse its prompt;
- everybody in the server could see the channel when it was asked for, and still can; the channel was not
  age-restricted then and is not now;
- the safety check looked at it and at the other pictures of its job, and flagged none;
- no picture of its job has an open report, or had one that ended without a decision.

Nothing says who asked for it. Its files carry no recipe. Recipe, timelapse and film are shown only of a picture made of
words alone, or of other pictures that are shown: they would give away attached files and private parents.
"""

from __future__ import annotations

import asyncio
import hmac
import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass

from bot.jobs import Job, StoredPicture
from bot.service.guild_settings import GuildRecords
from bot.service.requests import picture_request
from bot.service.values import Requester
from bot.store import Store, WebMessage, WebPicture
from generator import GenerationRequest, request_from_json, request_to_json

SECRET_BYTES = 24
SECRET = re.compile(r"[\w-]{32}", re.ASCII)
"""A secret as `secrets.token_urlsafe` makes it of so many bytes."""
MAX_WORDS = 8
"""Words of a search that count."""
_SETTING = "web_gallery"


@dataclass(frozen=True, kw_only=True)
class WebPage:
    """A page of a web gallery, newest picture first."""

    pictures: tuple[WebPicture, ...]
    more: bool
    """True if older ones follow."""


@dataclass(frozen=True, kw_only=True)
class WebDetails:
    """A picture of a web gallery with its job; `recipe` is its recipe in JSON if that may be shown, else None."""

    job: Job
    picture: StoredPicture
    recipe: str | None


class WebGallery:
    """Links to web galleries, and the pictures behind them. `channels` are those that everybody can see now."""

    def __init__(self, store: Store, records: GuildRecords) -> None:
        self._store, self._records = store, records

    async def secret(self, requester: Requester) -> str | None:
        """The secret of the server's link; None if it has none.

        Raises:
            NotOwner
        """
        requester.must_manage()
        return (await self._records.of(requester.guild_id)).settings.get(_SETTING)

    async def exists(self, guild_id: int) -> bool:
        """Return True if a server has a link."""
        return _SETTING in (await self._records.of(guild_id)).settings

    async def renew(self, requester: Requester) -> str:
        """Make a link, which replaces the one before; return its secret.

        Raises:
            NotOwner
        """
        secret = secrets.token_urlsafe(SECRET_BYTES)
        async with self._records.changing(requester) as table:
            await table.put_setting(requester.guild_id, _SETTING, secret)
        return secret

    async def revoke(self, requester: Requester) -> bool:
        """Revoke the server's link; return True if there was one.

        Raises:
            NotOwner
        """
        known = await self.secret(requester)
        async with self._records.changing(requester) as table:
            await table.put_setting(requester.guild_id, _SETTING, None)
        return known is not None

    async def linked(self) -> list[int]:
        """Every server with a link."""
        return sorted(await self._store.guilds.guilds_with(_SETTING))

    async def messages(self, guild_id: int) -> list[WebMessage]:
        """Messages of the newest pictures that may be shown, apart from the state of their channels."""
        return await self._store.web.messages(guild_id)

    async def guild_of(self, secret: str) -> int | None:
        """The server of a link; None if there is no such link (any more)."""
        if not SECRET.fullmatch(secret):
            return None
        known = await self._store.guilds.guilds_with(_SETTING)
        return next((guild_id for guild_id, own in known.items() if hmac.compare_digest(own, secret)), None)

    async def page(
        self,
        guild_id: int,
        channels: Collection[int],
        search: str = "",
        *,
        after: tuple[int, int] | None = None,
        length: int,
    ) -> WebPage:
        """Pictures whose prompts contain all words of `search`, from the one that follows `after`: job and number."""
        words = search.split()[:MAX_WORDS]
        found = await self._store.web.page(guild_id, channels, words, after=after, length=length + 1)
        return WebPage(pictures=tuple(found[:length]), more=len(found) > length)

    async def picture(self, guild_id: int, channels: Collection[int], job_id: int, number: int) -> WebPicture | None:
        """A picture; None if it is not to be shown."""
        return await self._store.web.get(guild_id, channels, job_id, number)

    async def details(self, guild_id: int, channels: Collection[int], shown: WebPicture) -> WebDetails | None:
        """The details of a picture; None if it was deleted meanwhile."""
        job = await self._store.jobs.get(shown.job_id)
        pictures = {item.number: item for item in await self._store.jobs.pictures(shown.job_id)}
        recipe = await self._store.jobs.recipe(shown.job_id)
        if job is None or recipe is None or shown.number not in pictures:
            return None
        picture = pictures[shown.number]
        request = await asyncio.to_thread(request_from_json, recipe)
        lean = None
        if await self._may_tell(guild_id, channels, job, request):
            of_this_one = picture_request(request, picture.number, picture.stopped_at)
            lean = await asyncio.to_thread(request_to_json, of_this_one)
        return WebDetails(job=job, picture=picture, recipe=lean)

    async def _may_tell(self, guild_id: int, channels: Collection[int], job: Job, request: GenerationRequest) -> bool:
        """True if a request gives away nothing that is not shown: no attached file, no hidden parent."""
        if request.images or request.pictures:
            return False
        if request.film is not None and (request.film.source or request.film.pulse):
            return False  # It has a person's video or music.
        while request.parent is not None:
            if job.parent_id is None or job.parent_number is None:
                return False
            above = await self._store.jobs.get(job.parent_id)
            shown = await self.picture(guild_id, channels, job.parent_id, job.parent_number)
            if above is None or shown is None:
                return False
            job, request = above, request.parent
        return True
