"""Styles that are added to prompts, and words that no prompt may hold. Event loop.

Every method that changes something checks itself that the asker manages the server.
"""

from __future__ import annotations

import asyncio

from bot.config import MAX_RULE_CHARACTERS, MAX_STYLE_CHARACTERS, STYLE_NAME, Config
from bot.errors import InvalidJobSpec, NotFound
from bot.service.blocklist import first_hit, tidy
from bot.service.facts import FactCache, must_manage
from bot.service.values import Requester, Style
from bot.store import Store
from bot.texts import Sentence
from generator import InvalidRequest, parse_story

MAX_STYLES = 100
MAX_RULES = 500


class PromptRules:
    """Styles and blocklist of each server, beside the host's."""

    def __init__(self, config: Config, store: Store, facts: FactCache) -> None:
        self._table, self._facts = store.guilds, facts
        self.host_styles: dict[str, str] = dict(config.styles)
        self.host_rules: tuple[str, ...] = tuple(config.blocklist)

    async def styles(self, guild_id: int) -> tuple[Style, ...]:
        """The server's own styles and the host's, by name; one of the server's hides the host's of the same name."""
        own = (await self._facts.of(guild_id)).styles
        taken = set(map(str.casefold, own))
        found = [Style(name=name, text=text, own=True) for name, text in own.items()]
        for name, text in self.host_styles.items():
            if name.casefold() not in taken:
                found.append(Style(name=name, text=text, own=False))
        return tuple(sorted(found, key=lambda style: style.name.casefold()))

    async def style(self, guild_id: int, name: str) -> Style:
        """The style of that name, in whatever case.

        Raises:
            NotFound
        """
        for style in await self.styles(guild_id):
            if style.name.casefold() == name.strip().casefold():
                return style
        raise NotFound("style_unknown", name=name[:40])

    async def add_style(self, requester: Requester, name: str, text: str) -> Style:
        """Add a style to the server, or replace the one of that name.

        Raises:
            NotOwner
            InvalidWish: for a name or text that cannot be.
        """
        must_manage(requester)
        name, text = name.strip(), " ".join(text.split())
        if not STYLE_NAME.fullmatch(name):
            raise InvalidJobSpec("style_name", field="name")
        if not 0 < len(text) <= MAX_STYLE_CHARACTERS:
            raise InvalidJobSpec("style_text", field="text", most=MAX_STYLE_CHARACTERS)
        try:
            scenes = parse_story(text, beside_pictures=True)
        except InvalidRequest as exc:
            raise InvalidJobSpec("generator_says", field="text", message=Sentence.of_generator(exc.message)) from exc
        if len(scenes) != 1:
            raise InvalidJobSpec("style_story", field="text")
        own = (await self._facts.of(requester.guild_id)).styles
        if len(own) >= MAX_STYLES and name.casefold() not in map(str.casefold, own):
            raise InvalidJobSpec("styles_full", most=MAX_STYLES)
        await self._table.put_style(requester.guild_id, name, text)
        self._facts.forget(requester.guild_id)
        return Style(name=name, text=text, own=True)

    async def remove_style(self, requester: Requester, name: str) -> None:
        """Remove a style of the server.

        Raises:
            NotOwner, NotFound
        """
        must_manage(requester)
        removed = await self._table.remove_style(requester.guild_id, name.strip())
        self._facts.forget(requester.guild_id)
        if not removed:
            of_host = name.strip().casefold() in map(str.casefold, self.host_styles)
            raise NotFound("style_of_host" if of_host else "style_unknown", name=name[:40])

    async def blocklist(self, requester: Requester) -> tuple[str, ...]:
        """The server's own rules.

        Raises:
            NotOwner
        """
        must_manage(requester)
        return (await self._facts.of(requester.guild_id)).rules

    async def add_block(self, requester: Requester, rule: str) -> str:
        """Forbid a word or phrase; `*` stands for any letters of the same word. Returns the rule as it is kept.

        Raises:
            NotOwner, InvalidWish
        """
        must_manage(requester)
        rule = tidy(rule)
        if not rule.strip("* ") or len(rule) > MAX_RULE_CHARACTERS:
            raise InvalidJobSpec("rule_malformed", field="rule", most=MAX_RULE_CHARACTERS)
        if len((await self._facts.of(requester.guild_id)).rules) >= MAX_RULES:
            raise InvalidJobSpec("rules_full", most=MAX_RULES)
        await self._table.add_rule(requester.guild_id, rule)
        self._facts.forget(requester.guild_id)
        return rule

    async def remove_block(self, requester: Requester, rule: str) -> None:
        """Take a rule away.

        Raises:
            NotOwner, NotFound
        """
        must_manage(requester)
        removed = await self._table.remove_rule(requester.guild_id, tidy(rule))
        self._facts.forget(requester.guild_id)
        if not removed:
            raise NotFound("rule_unknown", rule=rule[:MAX_RULE_CHARACTERS])

    async def find_block(self, guild_id: int, text: str) -> str | None:
        """The rule, of the server or the host, that forbids a text; None if it is allowed."""
        rules = (*self.host_rules, *(await self._facts.of(guild_id)).rules)
        # Hundreds of rules on thousands of characters take a while.
        return await asyncio.to_thread(first_hit, rules, text)
