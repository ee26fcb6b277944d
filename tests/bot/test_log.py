"""The log: one line per event, facts by name, no secret in any of it."""

from __future__ import annotations

import json
import logging
import sys

import pytest

from bot.log import HIDDEN, OURS, JsonLines, TextLines, about, configure, new_error_id

TOKEN = "MTIzNDU2Nzg5MDEyMzQ1Njc4.GabcdE.abcdefghijklmnopqrstuvwxyz0123456789AB"  # noqa: S105 - made up
OTHER = "OTg3NjU0MzIxMDk4NzY1NDMy.Gxyzzy.zyxwvutsrqponmlkjihgfedcba9876543210ZY"


def record(message: str, *values: object, error: Exception | None = None, **facts: object) -> logging.LogRecord:
    trace = None
    if error is not None:
        try:
            raise error
        except type(error):
            trace = sys.exc_info()
    made = logging.LogRecord("bot.service", logging.INFO, "file.py", 1, message, values, trace)
    vars(made).update(about(**facts))
    return made


def test_a_line_has_time_level_message_and_facts() -> None:
    line = TextLines().format(record("job %s", "queued", job=7, guild=1, why="no room", nothing=None))
    assert line.endswith('INFO bot.service: job queued job=7 guild=1 why="no room"')
    assert line[:4].isdigit()


def test_json_lines_are_one_object_each() -> None:
    entry = json.loads(JsonLines().format(record("two\nlines", job=7, error=ValueError("x"))))
    assert (entry["message"], entry["job"], entry["level"]) == ("two\nlines", 7, "INFO")
    assert "ValueError: x" in entry["trace"]


def test_log_lines_cannot_be_forged() -> None:
    line = TextLines().format(record("name: %s", "a\n2026-11-23 ERROR bot: forged\x1b[2J\u2028", who="a\nb"))
    assert len(line.splitlines()) == 1
    assert "\x1b" not in line


@pytest.mark.parametrize("formatter", [TextLines, JsonLines])
def test_the_token_is_in_no_line_and_no_trace(formatter: type[logging.Formatter]) -> None:
    error = RuntimeError(f"401 with {TOKEN}")
    text = formatter("s3cr3t").format(record("a %s b s3cr3t", TOKEN, error=error, token=OTHER, word="s3cr3t"))
    assert not any(secret in text for secret in (TOKEN, OTHER, "s3cr3t"))
    assert HIDDEN in text


def test_tokens_of_interactions_in_addresses_are_hidden() -> None:
    address = "PATCH https://discord.com/api/v10/webhooks/123456/aW50ZXJhY3Rpb246MTIzNDU2Nzg5/messages/@original"
    text = TextLines().format(record(address))
    assert "aW50" not in text
    assert "/webhooks/123456/" in text


def test_tokens_of_interactions_in_payloads_are_hidden() -> None:
    payload = {"t": "INTERACTION_CREATE", "d": {"id": "1", "token": "aW50ZXJhY3Rpb246MTIzNDU2Nzg5"}}
    text = TextLines().format(record(f"event: {payload} {json.dumps(payload)}"))
    assert "aW50" not in text and text.count("[hidden]") == 2


def test_the_log_is_configured_and_taken_away_again(capsys: pytest.CaptureFixture[str]) -> None:
    handler = configure("info", "text", "s3cr3t")
    try:
        logging.getLogger("bot.test").info("hello s3cr3t", extra=about(job=1))
        logging.getLogger("bot.test").debug("unheard")
        logging.getLogger("somebody.else").info("unheard")
    finally:
        logging.getLogger().removeHandler(handler)
        for name in OURS:
            logging.getLogger(name).setLevel(logging.NOTSET)
    written = capsys.readouterr().err
    assert f"hello {HIDDEN} job=1" in written
    assert "unheard" not in written


def test_error_ids_differ() -> None:
    assert len({new_error_id() for _ in range(100)}) == 100
