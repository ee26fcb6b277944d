"""The errors that the bot raises. Each carries a sentence for a person, in every language; any thread."""

from __future__ import annotations

import gc
import traceback

from bot.texts import Sentence, Value


class BotError(Exception):
    """Base of all errors of the bot. `sentence` says to a person what happened and what to do.

    `key` names the text in bot/texts; it can have the placeholders that are given as keywords.
    """

    def __init__(self, key: str, /, **values: Value) -> None:
        self.sentence = Sentence.of(key, **values)
        super().__init__(self.sentence.said())


class ConfigError(BotError):
    """config.yaml, an environment variable or the token file cannot be used."""


class StoreError(BotError):
    """The database cannot be opened, read or written."""


class FilesError(BotError):
    """A file of the data folder cannot be written, or is missing."""


class IllegalTransition(BotError):
    """A job cannot go from one state to that other one."""

    def __init__(self, old: str, new: str) -> None:
        super().__init__("illegal_transition", old=old, new=new)
        self.old, self.new = old, new


class Refused(BotError):
    """Base of what a person asked for and cannot have; nothing was changed."""


class InvalidJobSpec(Refused):
    """The prompt, an option or an attachment makes no sense; `field` names it where it can be named."""

    def __init__(self, key: str, /, *, field: str | None = None, **values: Value) -> None:
        super().__init__(key, **values)
        self.field = field


class OverLimit(Refused):
    """A size, a number of steps or the like is above what this server allows."""


class QueueFull(Refused):
    """The queue of the server, or of the person in it, is as long as it may be."""


class TooSoon(Refused):
    """The cooldown has not passed, or today's quota is spent."""


class Blocked(Refused):
    """The blocklist forbids the prompt; the sentence names the rule that hit."""


class WrongChannel(Refused):
    """Pictures are not asked for in this channel."""


class NotOwner(Refused):
    """Only the owner of the job, or somebody who manages the server, may do this."""


class NotFound(Refused):
    """There is no such job, picture, style or rule, at least not for this person."""


class WrongState(Refused):
    """The job is past the point where this could be done."""


class ShuttingDown(Refused):
    """The bot takes nothing new at the moment."""


def emptied(error: Exception) -> Exception:
    """An error without what the functions on its way held: of a dream that broke, that is all of its memory."""
    part: BaseException | None = error
    while part is not None:
        traceback.clear_frames(part.__traceback__)
        part = part.__cause__ or part.__context__
    gc.collect()  # Errors and functions refer to one another.
    return error
