"""User-facing messages: English templates that can be translated. No torch; any thread.

A message is a `str`. To translate it, translate its template and fill in the same values, after translating those that
are messages themselves.
"""

from __future__ import annotations

from collections.abc import Mapping

MessageValue = str | int | float
"""Values for placeholders; a `Message` is a `str` too."""


class Message(str):
    """A sentence, or a part of one, with its template, such as "at most {most} are allowed", and values."""

    __slots__ = ("template", "values")
    template: str
    values: Mapping[str, MessageValue]

    def __new__(cls, template: str, /, **values: MessageValue) -> Message:
        """Fill in the template; the values are kept."""
        message = super().__new__(cls, template.format_map(values))
        message.template, message.values = template, values
        return message

    def __getnewargs_ex__(self) -> tuple[tuple[str], dict[str, MessageValue]]:
        """Arguments for copying and pickling."""
        return (self.template,), dict(self.values)
