"""Errors of the bot. Each carries a sentence for a person, in every language; any thread."""

from __future__ import annotations

import gc
import traceback

from bot.texts import Sentence, Value


class BotError(Exception):
    """Base of all errors of the bot. `sentence` tells a person what happened and what to do.

    `key` names the text in bot/texts; keyword arguments are the values of its placeholders.
    """

    def __init__(self, key: str, /, **values: Value) -> None:
        self.sentence = Sentence.of(key, **values)
        super().__init__(self.sentence.said())


class ConfigError(BotError):
    """config.yaml, an environment variable or the token file cannot be used."""


class ClusterError(BotError):
    """The cluster, or a painter in it, cannot be used; the sentence tells the host what to do."""


class StoreError(BotError):
    """The database cannot be opened, read or written."""


class FilesError(BotError):
    """A file of the data folder cannot be written, or is missing."""


class IllegalTransition(BotError):
    """A job cannot go from its state to the requested one."""

    def __init__(self, old: str, new: str) -> None:
        super().__init__("illegal_transition", old=old, new=new)
        self.old, self.new = old, new


class Refused(BotError):
    """Base of refused requests; nothing was changed."""


class InvalidJobSpec(Refused):
    """The prompt, an option or an attachment is invalid; `field` names it if possible."""

    def __init__(self, key: str, /, *, field: str | None = None, **values: Value) -> None:
        super().__init__(key, **values)
        self.field = field


class OverLimit(Refused):
    """A size, a number of steps or the like is above what this server allows."""


class QueueFull(Refused):
    """The queue of the server, or of the person in it, is full."""


class TooSoon(Refused):
    """The cooldown has not passed, or today's quota is spent."""


class Blocked(Refused):
    """The blocklist forbids the prompt, or the person is blocked in this server; the sentence says which."""


class WrongChannel(Refused):
    """Pictures may not be requested in this channel."""


class NotOwner(Refused):
    """Only the owner of the job or a manager of the server may do this."""


class NotFound(Refused):
    """There is no such job, picture, style or rule, at least not for this person."""


class WrongState(Refused):
    """The job's state no longer allows this."""


class ShuttingDown(Refused):
    """The bot is not accepting jobs at the moment."""


def without_locals(error: Exception) -> Exception:
    """An error without the local variables of its traceback, which hold all memory of a failed dream."""
    part: BaseException | None = error
    while part is not None:
        traceback.clear_frames(part.__traceback__)
        part = part.__cause__ or part.__context__
    gc.collect()  # Errors and stack frames refer to each other.
    return error
