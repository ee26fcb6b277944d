"""Whether a job may be taken on: place, words, queue, quota. Event loop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from bot.config import Caps, Limits
from bot.errors import Blocked, QueueFull, TooSoon, WrongChannel
from bot.service.guild_settings import GuildSettings
from bot.service.prompt_rules import PromptRules
from bot.service.values import Requester
from bot.store import Load

DAY_S = 86_400


async def check_channel(guilds: GuildSettings, requester: Requester) -> None:
    """See that pictures may be asked for where the asker is.

    Raises:
        WrongChannel: naming where else, if the server says so.
    """
    if not await guilds.is_open(requester):
        open_ones = [f"<#{channel_id}>" for channel_id, on in (await guilds.channels(requester.guild_id)).items() if on]
        if open_ones:
            raise WrongChannel("channel_elsewhere", channels=" ".join(open_ones[:10]))
        raise WrongChannel("channel_denied")


async def check_words(words: PromptRules, requester: Requester, texts: list[str]) -> None:
    """See that no text breaks a rule of the blocklist.

    Raises:
        Blocked: naming the rule.
    """
    for text in texts:
        rule = await words.find_block(requester.guild_id, text)
        if rule is not None:
            raise Blocked("blocked", rule=rule)


def gate(limits: Limits, caps: Caps, count: int, now: float | None = None) -> Callable[[Load], None]:
    """What the store asks inside the transaction that adds the job: may `count` pictures more be queued?

    Raises:
        QueueFull, TooSoon: by the function that is returned.
    """
    now = time.time() if now is None else now

    def admit(load: Load) -> None:
        if load.queued_bot >= caps.queue_bot:
            raise QueueFull("queue_full_bot", count=load.queued_bot)
        if load.queued_guild >= limits.queue_server:
            raise QueueFull("queue_full_server", count=load.queued_guild)
        if load.queued_user >= limits.queue_user:
            raise QueueFull("queue_full_user", count=load.queued_user)
        if limits.daily and load.pictures_today + count > limits.daily:
            tomorrow = math.ceil((now // DAY_S + 1) * DAY_S)
            left = max(0, limits.daily - load.pictures_today)
            raise TooSoon("quota_spent", daily=limits.daily, left=left, when=tomorrow)
        # A last time that lies ahead comes from a clock that was set back: it says nothing.
        if load.last_at is not None and 0 <= now - load.last_at < limits.cooldown_s:
            raise TooSoon("cooldown", when=math.ceil(load.last_at + limits.cooldown_s))

    return admit
