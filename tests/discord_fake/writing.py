"""Creation and changes of messages by the bot's calls. The fake's event loop."""

from __future__ import annotations

import mimetypes
import re
import time
from dataclasses import replace
from typing import Any

from tests.discord_fake import components
from tests.discord_fake.calls import UploadedFile
from tests.discord_fake.ids import new_id
from tests.discord_fake.interactions import FILE_BYTES, REQUEST_BYTES
from tests.discord_fake.world import NONCE_S, Attachment, Channel, Message, Payload


class Refusal(Exception):
    """An error that Discord answers: status, code, message."""

    def __init__(self, what: tuple[int, int, str]) -> None:
        super().__init__(what[2])
        self.status, self.code, self.message = what


UNKNOWN_CHANNEL = (404, 10003, "Unknown Channel")
UNKNOWN_GUILD = (404, 10004, "Unknown Guild")
UNKNOWN_MESSAGE = (404, 10008, "Unknown Message")
UNKNOWN_WEBHOOK = (404, 10015, "Unknown Webhook")
UNKNOWN_MEMBER = (404, 10007, "Unknown Member")
UNKNOWN_INTERACTION = (404, 10062, "Unknown interaction")
ACKNOWLEDGED = (400, 40060, "Interaction has already been acknowledged.")
DEAD_TOKEN = (401, 50027, "Invalid Webhook Token")
NO_ACCESS = (403, 50001, "Missing Access")
NO_PERMISSION = (403, 50013, "Missing Permissions")
ARCHIVED = (400, 50083, "Thread is archived")
NOT_AUTHOR = (403, 50005, "Cannot edit a message authored by another user")
EMPTY = (400, 50006, "Cannot send an empty message")
CANNOT_DM = (403, 50007, "Cannot send messages to this user")
TOO_MANY_FOLLOWUPS = (400, 40094, "Maximum number of follow-up messages reached")
TOO_LARGE = (413, 40005, "Request entity too large")
INVALID = (400, 50035, "Invalid Form Body")
UNAUTHORISED = (401, 0, "401: Unauthorized")


def create(channel: Channel, body: Payload, files: tuple[UploadedFile, ...], file_bytes: int = FILE_BYTES) -> Message:
    """Create a message; a repeated nonce returns the first message again.

    Raises:
        Refusal: for an empty one, one with a file that is too large, or one that breaks a rule of components.
    """
    nonce = str(body["nonce"]) if body.get("nonce") is not None else None
    if nonce is not None and body.get("enforce_nonce"):
        for earlier in channel.messages.values():
            if earlier.nonce == nonce and time.time() - earlier.created_at < NONCE_S:
                return earlier
    message = Message(channel, new_id(), nonce=nonce, pings=pinged(body))
    if reference := body.get("message_reference"):
        message.answers = int(reference["message_id"])
    message.flags = int(body.get("flags") or 0)
    _write(message, body, files, file_bytes)
    if not (message.content or message.embeds or message.attachments or message.components):
        raise Refusal(EMPTY)
    channel.messages[message.id] = message
    return message


def pinged(body: Payload) -> tuple[int, ...]:
    """The people whom a new message pings: mentioned in its text, and allowed."""
    allowed = body.get("allowed_mentions")
    said = "\n".join([body.get("content") or "", *components.texts(body.get("components") or [])])
    mentioned = [int(found) for found in re.findall(r"<@!?(\d+)>", said)]
    if allowed is None or "users" in (allowed.get("parse") or []):
        return tuple(mentioned)
    return tuple(user_id for user_id in mentioned if str(user_id) in map(str, allowed.get("users") or []))


def edit(message: Message, body: Payload, files: tuple[UploadedFile, ...], file_bytes: int = FILE_BYTES) -> Message:
    """Change a message.

    Raises:
        Refusal: if it was deleted, a file is too large, or it breaks a rule of components.
    """
    if message.deleted:
        raise Refusal(UNKNOWN_MESSAGE)
    before = replace(message)
    if body.get("flags") is not None:
        given, changeable = int(body["flags"]), components.SUPPRESS_EMBEDS | components.V2
        message.flags = (message.flags & ~components.SUPPRESS_EMBEDS) | (given & changeable)
    try:
        _write(message, body, files, file_bytes)
    except Refusal:
        vars(message).update(vars(before))
        raise
    message.edits += 1
    return message


def _write(message: Message, body: Payload, files: tuple[UploadedFile, ...], file_bytes: int) -> None:
    sizes = [len(file.data) for file in files]
    if max(sizes, default=0) > file_bytes or sum(sizes) > REQUEST_BYTES:
        raise Refusal(TOO_LARGE)
    for name in ("embeds", "components"):
        if name in body:
            setattr(message, name, body[name] or [])
    if "content" in body:
        message.content = body["content"] or ""
    described: list[dict[str, Any]] = body.get("attachments") or []
    kept = message.attachments
    if "attachments" in body:
        ids = {str(item["id"]) for item in described}
        kept = [item for item in kept if str(item.id) in ids]
    message.attachments = [*kept, *(_attachment(file, described) for file in files)]
    names = [file.filename for file in message.attachments]
    broken = components.broken_rules(message.flags, message.content, message.embeds, message.components, names)
    if (rule := next(broken, None)) is not None:
        raise Refusal((*INVALID[:2], f"{INVALID[2]}: {rule}"))


def _attachment(file: UploadedFile, described: list[dict[str, Any]]) -> Attachment:
    index = file.field.removeprefix("files[").removesuffix("]")
    said = next((item for item in described if str(item["id"]) == index), {})
    filename = said.get("filename") or file.filename
    kind = mimetypes.guess_type(filename)[0] or file.content_type
    return Attachment(new_id(), filename, file.data, kind, said.get("description"))
