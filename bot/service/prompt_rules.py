"""Styles added to prompts, and blocklists of forbidden words. Event loop; matching words is pure.

Every method that changes something checks that the requester manages the server. The admins of any server write
rules and its members write texts, and neither may make the search slow: a pattern takes the nearest place for each
of its parts and never backtracks, hence the time of a rule grows at most with the square of the text.
"""

from __future__ import annotations

import asyncio
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from functools import lru_cache

from bot.config import MAX_RULE_CHARACTERS, MAX_STYLE_CHARACTERS, STYLE_NAME, Config
from bot.errors import InvalidJobSpec, NotFound
from bot.service.guild_settings import GuildRecords
from bot.service.values import Requester, Style
from bot.texts import Sentence
from generator import InvalidRequest, parse_story

MAX_STYLES = 100
MAX_RULES = 500
MAX_LISTED = 25
"""Maximum number of styles that a refusal lists."""

_FILLERS = re.compile("[\u115f\u1160\u2800\u3164\uffa0]")
"""Letters by category that show nothing, and the braille pattern without dots."""
_INVISIBLE = re.compile(
    rf"{_FILLERS.pattern}|[\u034f\u17b4\u17b5\u180b-\u180f\u2065\ufe00-\ufe0f\ufff0-\ufff8]"
    "|[\U00016fe4\U0001d159\U000e0000-\U000e0fff]"
)
"""Unicode's default ignorable characters outside the categories of controls: joiners, selectors, fillers, tags."""


class PromptRules:
    """Styles and blocklist of each server, in addition to the host's."""

    def __init__(self, config: Config, records: GuildRecords) -> None:
        self._records = records
        self.host_styles: dict[str, str] = dict(config.styles)
        self.host_rules: tuple[str, ...] = tuple(config.blocklist)

    async def styles(self, guild_id: int) -> tuple[Style, ...]:
        """The server's own styles and the host's, by name; one of the server's hides the host's of the same name."""
        own = (await self._records.of(guild_id)).styles
        taken = set(map(str.casefold, own))
        found = [Style(name=name, text=text, own=True) for name, text in own.items()]
        for name, text in self.host_styles.items():
            if name.casefold() not in taken:
                found.append(Style(name=name, text=text, own=False))
        return tuple(sorted(found, key=lambda style: style.name.casefold()))

    async def style(self, guild_id: int, name: str) -> Style:
        """The style of that name, ignoring case.

        Raises:
            NotFound
        """
        known = await self.styles(guild_id)
        for style in known:
            if style.name.casefold() == name.strip().casefold():
                return style
        raise _unknown_style(name, known)

    async def add_style(self, requester: Requester, name: str, text: str) -> Style:
        """Add a style to the server, or replace the one of that name.

        Raises:
            NotOwner
            InvalidJobSpec: for an invalid name or text.
        """
        async with self._records.changing(requester) as table:
            name, text = name.strip(), " ".join(text.split())
            if not STYLE_NAME.fullmatch(name):
                raise InvalidJobSpec("style_name", field="name")
            if not 0 < len(text) <= MAX_STYLE_CHARACTERS:
                raise InvalidJobSpec("style_text", field="text", most=MAX_STYLE_CHARACTERS)
            try:
                scenes = parse_story(text, beside_pictures=True)
            except InvalidRequest as exc:
                raise InvalidJobSpec(
                    "generator_says", field="text", message=Sentence.of_generator(exc.message)
                ) from exc
            if len(scenes) != 1:
                raise InvalidJobSpec("style_story", field="text")
            own = (await self._records.of(requester.guild_id)).styles
            if len(own) >= MAX_STYLES and name.casefold() not in map(str.casefold, own):
                raise InvalidJobSpec("styles_full", most=MAX_STYLES)
            await table.put_style(requester.guild_id, name, text)
        return Style(name=name, text=text, own=True)

    async def remove_style(self, requester: Requester, name: str) -> None:
        """Remove a style of the server.

        Raises:
            NotOwner, NotFound
        """
        async with self._records.changing(requester) as table:
            removed = await table.remove_style(requester.guild_id, name.strip())
        if not removed:
            if name.strip().casefold() in map(str.casefold, self.host_styles):
                raise NotFound("style_of_host", name=name[:40])
            raise _unknown_style(name, [style for style in await self.styles(requester.guild_id) if style.own])

    async def blocklist(self, requester: Requester) -> tuple[str, ...]:
        """The server's own rules.

        Raises:
            NotOwner
        """
        requester.must_manage()
        return (await self._records.of(requester.guild_id)).rules

    async def add_block(self, requester: Requester, rule: str) -> str:
        """Forbid a word or phrase; `*` stands for any letters of the same word. Return the rule as stored.

        Raises:
            NotOwner, InvalidJobSpec
        """
        async with self._records.changing(requester) as table:
            rule = tidy(rule)
            if not rule.strip("* ") or len(rule) > MAX_RULE_CHARACTERS:
                raise InvalidJobSpec("rule_malformed", field="rule", most=MAX_RULE_CHARACTERS)
            if len((await self._records.of(requester.guild_id)).rules) >= MAX_RULES:
                raise InvalidJobSpec("rules_full", most=MAX_RULES)
            await table.add_rule(requester.guild_id, rule)
        return rule

    async def remove_block(self, requester: Requester, rule: str) -> None:
        """Remove a rule.

        Raises:
            NotOwner, NotFound
        """
        async with self._records.changing(requester) as table:
            removed = await table.remove_rule(requester.guild_id, tidy(rule))
        if not removed:
            raise NotFound("rule_unknown", rule=rule[:MAX_RULE_CHARACTERS])

    async def find_block(self, guild_id: int, text: str) -> str | None:
        """The rule, of the server or the host, that forbids a text; None if it is allowed."""
        return await self.find_block_in(guild_id, lambda: (text,))

    async def find_block_in(self, guild_id: int, texts: Callable[[], Iterable[str]]) -> str | None:
        """The rule that forbids one of several texts; `texts` is called on a thread, and not without rules."""
        rules = (*self.host_rules, *(await self._records.of(guild_id)).rules)
        # Hundreds of rules on thousands of characters take a while.
        return await asyncio.to_thread(_first_hit_of_any, rules, texts) if rules else None


def _unknown_style(name: str, known: Sequence[Style]) -> NotFound:
    """The refusal of a style that does not exist, with the nearest name and those that there are."""
    if not known:
        return NotFound("style_unknown", name=name[:40])
    names = {style.name.casefold(): style.name for style in known}
    listed = ", ".join([*names.values()][:MAX_LISTED]) + (", …" if len(names) > MAX_LISTED else "")
    nearest = get_close_matches(name.strip().casefold()[:40], names, 1)
    if not nearest:
        return NotFound("style_unknown_here", name=name[:40], known=listed)
    return NotFound("style_unknown_near", name=name[:40], nearest=names[nearest[0]], known=listed)


def first_hit(rules: Iterable[str], text: str) -> str | None:
    """The first rule that a text breaks; None if it breaks none.

    Rules are matched as whole words, ignoring case, the width of characters and the spaces between them:
    "ass" does not hit "grass". A `*` in a rule stands for any letters of the same word.
    """
    # A filler shows a gap in some fonts and nothing in others: the text is read both ways.
    readings = {_plain(text), _plain(_FILLERS.sub(" ", text))}
    return next((rule for rule in rules if any(map(_pattern(rule).search, readings))), None)


def _first_hit_of_any(rules: Sequence[str], texts: Callable[[], Iterable[str]]) -> str | None:
    return next((hit for text in texts() if (hit := first_hit(rules, text)) is not None), None)


def tidy(rule: str) -> str:
    """Normalise a rule for storage: lower case, single spaces."""
    return _plain(rule)


@lru_cache(maxsize=4096)
def _pattern(rule: str) -> re.Pattern[str]:
    """Pattern that finds each part of a rule at its nearest place, in a group that is not tried again.

    A rule without visible characters forbids nothing.
    """
    if not _plain(rule).strip("* "):
        return re.compile(r"(?!)")
    groups, gap = "", ""
    for word in _plain(rule).split():
        *parts, last = word.split("*")
        for part in parts:
            if part:
                groups += f"(?>{gap}{re.escape(part)})"
                gap = ""
            gap += r"\w*?"
        # The end of a rule's word is the end of a word in the text too.
        end = r"(?!\w)" if re.fullmatch(r"\w", last[-1:]) else ""
        groups += f"(?>{gap}{re.escape(last)}{end})" if last else f"(?>{gap.replace('?', '')})"
        gap = r"\W+?"
    return re.compile(rf"(?<!\w){groups}(?!\w)")


def _plain(text: str) -> str:
    """Normalise a text: unify compatible forms, fold case, drop invisible characters, single spaces."""
    seen = "".join(char for char in text if char.isspace() or not _shows_nothing(char))
    return " ".join(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", seen).casefold()).split())


def _shows_nothing(char: str) -> bool:
    return unicodedata.category(char) in ("Cf", "Cc") or _INVISIBLE.match(char) is not None
