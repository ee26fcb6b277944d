"""What the generator says to people: English sentences that can be said again in other languages. No torch; any thread.

A message is text like any other. Whoever speaks another language translates its template, fills in the same values,
and does so first with values that are messages themselves.
"""

from __future__ import annotations

from collections.abc import Mapping

MessageValue = str | int | float
"""What fills a placeholder; a `Message` is a `str` too."""


class Message(str):
    """A sentence, or a part of one, made of a template such as "at most {most} are allowed" and its values."""

    __slots__ = ("template", "values")
    template: str
    values: Mapping[str, MessageValue]

    def __new__(cls, template: str, /, **values: MessageValue) -> Message:
        """The template filled in; the values stay at hand."""
        message = super().__new__(cls, template.format_map(values))
        message.template, message.values = template, values
        return message

    def __getnewargs_ex__(self) -> tuple[tuple[str], dict[str, MessageValue]]:
        """What a copy is made of."""
        return (self.template,), dict(self.values)
