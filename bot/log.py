"""Logging: one line per event, with the ids of job and guild, and never a secret. Any thread.

Log with the standard library: `log.info("picture saved", extra=about(job_id=7, guild_id=1))`. Every line, including
tracebacks, is free of the bot's token, anything that looks like one, and interaction tokens.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
import sys
from datetime import UTC, datetime

HIDDEN = "[hidden]"
OURS = ("bot", "generator", "discord")
"""Loggers with the configured level; all others log warnings, Python's default."""
_TOKEN_LIKE = re.compile(r"(?:mfa\.[\w-]{20,}|[\w-]{23,30}\.[\w-]{6,7}\.[\w-]{27,})")
_IN_ADDRESS = re.compile(r"((?:webhooks|interactions)/\d{1,20}/)[\w%=.-]{20,}")
_IN_PAYLOAD = re.compile(r"""(["']token["']: ?["'])[^"']+""")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\x85\u2028\u2029]")
_MARK = "reverie_about"

Fact = str | int | float | bool | None


def about(**facts: Fact) -> dict[str, dict[str, Fact]]:
    """The `extra` of a log line: named facts; None is left out."""
    return {_MARK: {name: value for name, value in facts.items() if value is not None}}


def new_error_id() -> str:
    """A short id for one error, for the log line and the person affected."""
    return secrets.token_hex(4)


def configure(level: str, line_format: str, secret: str | None = None) -> logging.Handler:
    """Send the log of this process to standard error; `secret` is the token, removed from every line.

    Returns the handler; remove it with `logging.getLogger().removeHandler`.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(secret) if line_format == "json" else TextLines(secret))
    logging.getLogger().addHandler(handler)
    for name in OURS:
        logging.getLogger(name).setLevel(level.upper())
    return handler


class TextLines(logging.Formatter):
    """Lines for people: time, level, logger, message, then `name=value` for each fact; tracebacks below."""

    def __init__(self, secret: str | None = None) -> None:
        super().__init__()
        self._redact = Redactor(secret)

    def format(self, record: logging.LogRecord) -> str:
        """One line, followed by a traceback if there is one."""
        facts = "".join(f" {name}={_quoted(value)}" for name, value in _facts(record).items())
        message = record.getMessage().replace("\n", "\\n")
        line = f"{_time(record)} {record.levelname} {record.name}: {message}{facts}"
        # Tracebacks can contain people's text: indentation prevents forged log lines.
        trace = _trace(self, record).replace("\n", "\n  ")
        return self._redact(_CONTROL.sub("\N{REPLACEMENT CHARACTER}", line + trace))


class JsonLines(logging.Formatter):
    """One JSON object per line, with a traceback as a string in it."""

    def __init__(self, secret: str | None = None) -> None:
        super().__init__()
        self._redact = Redactor(secret)

    def format(self, record: logging.LogRecord) -> str:
        """One line of JSON."""
        entry: dict[str, Fact] = {
            "time": _time(record),
            "level": record.levelname,
            "logger": record.name,
            "message": self._redact(record.getMessage()),
        }
        entry |= {name: self._redact(v) if isinstance(v, str) else v for name, v in _facts(record).items()}
        if trace := _trace(self, record):
            entry["trace"] = self._redact(trace.strip())
        return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(entry, ensure_ascii=False))


class Redactor:
    """Removes secrets from a text."""

    def __init__(self, secret: str | None) -> None:
        self._secret = secret

    def __call__(self, text: str) -> str:
        """The text with secrets replaced by HIDDEN."""
        if self._secret:
            text = text.replace(self._secret, HIDDEN)
        for pattern in (_IN_ADDRESS, _IN_PAYLOAD):
            text = pattern.sub(rf"\g<1>{HIDDEN}", text)
        return _TOKEN_LIKE.sub(HIDDEN, text)


def _facts(record: logging.LogRecord) -> dict[str, Fact]:
    facts: dict[str, Fact] = getattr(record, _MARK, {})
    return facts


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")


def _trace(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    if record.exc_info and not record.exc_text:
        return "\n" + formatter.formatException(record.exc_info)
    return f"\n{record.exc_text}" if record.exc_text else ""


def _quoted(value: Fact) -> str:
    text = str(value)
    return text if re.fullmatch(r"[\w.:+-]+", text) else json.dumps(text, ensure_ascii=False)
