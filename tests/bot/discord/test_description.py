"""Checks of bodies by the fake: it finds errors, so its silence means something."""

from __future__ import annotations

import pytest

from tests.discord_fake import Call
from tests.discord_fake.description import description

MESSAGE = "/channels/1/messages"
CALLBACK = "/interactions/1/token/callback"
MUTE = {"allowed_mentions": {"parse": []}}


def problems(method: str, path: str, body: object, content_type: str = "application/json") -> list[str]:
    return description().problems(Call(method, path, {}, True, content_type, body))


@pytest.mark.parametrize(
    ("method", "path", "body", "said"),
    [
        ("POST", MESSAGE, {"content": "x" * 2_001}, "more than 2000"),
        ("POST", MESSAGE, {"embeds": [{"title": "x" * 257}]}, "embeds/0/title"),
        ("POST", MESSAGE, {"embeds": [{"description": "x" * 4_000}] * 2}, "more than 6000"),
        ("POST", MESSAGE, {"content": 5}, "content"),
        ("PATCH", f"{MESSAGE}/2", {"components": [{"type": 1, "components": [{"type": 2, "style": 9}]}]}, "components"),
        ("POST", CALLBACK, {"type": 4, "data": {"content": 5}}, "content"),
        ("POST", CALLBACK, {"type": 3}, ""),
        ("PUT", "/applications/1/commands", [{"name": "x" * 40, "type": 1, "description": "x"}], "0/name"),
        ("POST", MESSAGE, None, "body"),
        ("GET", "/channels/1/nonsense", None, "no such call"),
        ("PUT", MESSAGE, {}, "no such call"),
        ("POST", MESSAGE, {"content": "@everyone"}, "mentions are not switched off"),
        (
            "POST",
            CALLBACK,
            {"type": 4, "data": {"content": "<@1>", "allowed_mentions": {"parse": ["users"]}}},
            "mentions",
        ),
        ("POST", MESSAGE, {"content": "<@1> <@2>", "allowed_mentions": {"parse": [], "users": ["1"]}}, "mentions"),
        ("POST", MESSAGE, {"content": "<@1>", "allowed_mentions": {"parse": [], "users": ["2"]}}, "mentions"),
        ("POST", MESSAGE, {"content": "x", "allowed_mentions": {"parse": [], "replied_user": True}}, "mentions"),
    ],
)
def test_a_body_that_discord_would_not_take_is_found(method: str, path: str, body: object, said: str) -> None:
    found = problems(method, path, body, "" if body is None else "application/json")
    assert found and said in found[0]


def test_two_buttons_with_the_same_id_are_found() -> None:
    button = {"type": 2, "style": 1, "label": "x", "custom_id": "same"}
    found = problems("POST", MESSAGE, {"components": [{"type": 1, "components": [button, button]}]})
    assert found and "twice" in found[0]


def test_valid_requests_pass() -> None:
    button = {"type": 2, "style": 1, "label": "x", "custom_id": "one"}
    rows = [{"type": 1, "components": [button]}]
    assert not problems("POST", MESSAGE, MUTE | {"content": "x", "nonce": "reverie-1", "enforce_nonce": True})
    assert not problems("POST", CALLBACK, {"type": 4, "data": MUTE | {"content": "x", "flags": 64, "components": rows}})
    ping = {"allowed_mentions": {"parse": [], "users": ["1"], "replied_user": False}}
    assert not problems("POST", MESSAGE, ping | {"content": "<@1> ready"})
    kept = {"attachments": [{"id": 1, "filename": "a.png"}]}
    assert not problems("PATCH", "/webhooks/1/x/messages/@original", kept, "multipart/form-data")
