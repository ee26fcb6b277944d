"""Names and descriptions of commands and options in all our languages. Event loop; no I/O."""

from __future__ import annotations

from discord import Locale, app_commands

from bot.texts import LANGUAGES, language_of, say

DESCRIPTION = 100
"""Discord's limit for the description of a command or option, in characters."""
TRANSLATED = frozenset(locale for locale in Locale if language_of(locale.value) != LANGUAGES[0])
"""Discord's locales of our other languages. discord.py asks for each string in all of its thirty."""


def described(key: str) -> app_commands.locale_str:
    """The description with this key in bot/texts."""
    return app_commands.locale_str(say(key)[:DESCRIPTION], key=key)


class Translator(app_commands.Translator):
    """Translates the strings made by `described`."""

    async def translate(
        self, string: app_commands.locale_str, locale: Locale, context: app_commands.TranslationContextTypes
    ) -> str | None:
        """The text for a locale; None if the language is missing or English."""
        if locale not in TRANSLATED or (key := string.extras.get("key")) is None:
            return None
        return say(key, locale.value)[:DESCRIPTION]
