"""Discord's own description of its interface, and the check of the bot's calls against it. Any thread."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema_rs
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from tests.discord_fake import components
from tests.discord_fake.calls import Call
from tests.discord_fake.markdown import read

FILE = Path(__file__).parent.parent / "data" / "discord-openapi.json"
CONTENT_CHARACTERS, EMBED_CHARACTERS = 2_000, 6_000
MEDIA_CHANNEL = 16
_ROOT = "discord:openapi"
_VARIABLE = re.compile(r"\{[^}]+\}")


class Validator(NamedTuple):
    """Two checks by one schema: a quick one, and one that says what is wrong."""

    quick: jsonschema_rs.Draft202012Validator
    exact: Draft202012Validator

    def first_error(self, body: Any) -> ValidationError | None:  # noqa: ANN401 - JSON
        """The first violation of the schema."""
        return None if self.quick.is_valid(body) else next(self.exact.iter_errors(body), None)


class Description:
    """The description; `problems` lists the violations of a call."""

    def __init__(self, file: Path = FILE) -> None:
        self._whole = json.loads(file.read_text("utf-8"))
        resource: Resource[Any] = Resource.from_contents(self._whole, default_specification=DRAFT202012)
        self._registry = Registry().with_resource(_ROOT, resource)
        self._quick_registry = jsonschema_rs.Registry([(_ROOT, self._whole)], draft=jsonschema_rs.Draft202012)
        self._validators: dict[tuple[str, str, str], Validator | None] = {}
        self._found: dict[tuple[str, str, str], list[str]] = {}
        """Problems of bodies so far: many are sent again and again."""
        # Fixed parts go before variables: /messages/@original before /messages/{message_id}.
        paths = sorted(self._whole["paths"], key=lambda path: path.count("{"))
        self._paths = [(path, re.compile(_VARIABLE.sub("[^/]+", path))) for path in paths]

    def problems(self, call: Call) -> list[str]:
        """List the problems of a call: an unknown path or method, a body where none belongs, or an invalid one."""
        template = self.template(call.path)
        if template is None or call.method.lower() not in self._whole["paths"][template]:
            return [f"{call.method} {call.path}: Discord knows no such call"]
        where = f"{call.method} {template}"
        if not call.content_type and call.json is None:
            body = self._whole["paths"][template][call.method.lower()].get("requestBody", {})
            return [f"{where}: a body is missing"] if body.get("required") else []
        validator = self._validator(template, call.method.lower(), call.content_type)
        if validator is None:
            return [f"{where}: no body of {call.content_type} belongs there"]
        key = (where, call.content_type, json.dumps(call.json, sort_keys=True))
        if key not in self._found:
            error = validator.first_error(tolerated(call.json))
            self._found[key] = list(beyond_limits(call.json)) if error is None else [_said(error)]
        return [f"{where}: {what}" for what in self._found[key]]

    def template(self, path: str) -> str | None:
        """Find the described path for a path."""
        return next((template for template, pattern in self._paths if pattern.fullmatch(path)), None)

    def _validator(self, template: str, method: str, content_type: str) -> Validator | None:
        key = (template, method, content_type)
        if key not in self._validators:
            content = self._whole["paths"][template][method].get("requestBody", {}).get("content", {})
            found = None
            if content_type in content:
                steps = ("paths", template, method, "requestBody", "content", content_type, "schema")
                pointer = "/".join(step.replace("~", "~0").replace("/", "~1") for step in steps)
                pointer = pointer.replace("{", "%7B").replace("}", "%7D")
                schema = {"$ref": f"{_ROOT}#/{pointer}"}
                quick = jsonschema_rs.Draft202012Validator(schema, registry=self._quick_registry)
                found = Validator(quick, Draft202012Validator(schema, registry=self._registry))
            self._validators[key] = found
        return self._validators[key]


@lru_cache(maxsize=1)
def description() -> Description:
    """Load the description once."""
    return Description()


def tolerated(value: Any, above: str = "") -> Any:  # noqa: ANN401 - JSON
    """Remove two deviations of discord.py that Discord accepts.

    Ids as numbers; and media channels among the channel types of an option, which the documentation lists and the
    description does not.
    """
    if isinstance(value, list) and above == "users":
        return [str(item) if isinstance(item, int) else tolerated(item) for item in value]
    if isinstance(value, list):
        return [tolerated(item) for item in value if not (above == "channel_types" and item == MEDIA_CHANNEL)]
    if isinstance(value, dict):
        return {name: str(item) if _is_id(name, item) else tolerated(item, name) for name, item in value.items()}
    return value


def beyond_limits(body: Any) -> Iterator[str]:  # noqa: ANN401 - JSON
    """List violations of rules missing in the description: text and custom id limits, mentions, masked links."""
    message = body.get("data", body) if isinstance(body, dict) else None
    if not isinstance(message, dict) or not {"content", "embeds", "components"} & message.keys():
        return
    tree, embeds = message.get("components") or [], message.get("embeds") or []
    texts = [text for embed in embeds for text in _read(embed)]
    texts = [message.get("content") or "", *texts, *components.texts(tree)]
    if any(effect.kind == "masked link" for text in texts for effect in read(text)[1]):
        yield "a masked link"
    if len(message.get("content") or "") > CONTENT_CHARACTERS:
        yield f"content of more than {CONTENT_CHARACTERS} characters"
    if sum(map(_characters, embeds)) > EMBED_CHARACTERS:
        yield f"embeds of more than {EMBED_CHARACTERS} characters together"
    named = [item["filename"] for item in message.get("attachments") or [] if "filename" in item]
    flags = components.V2 if "title" in message else int(message.get("flags") or 0)  # A form has a title.
    yield from components.broken_rules(flags, message.get("content") or "", embeds, tree, named)
    if flags & components.V2:
        unseen = set(named) - {url.removeprefix("attachment://") for url in components.media(tree)}
        if unseen:
            yield f"no component shows these files: {sorted(unseen)}"
    if any(texts) and not _pings_at_most_one(message, texts):
        yield f"mentions are not switched off: {message.get('allowed_mentions')}"


def _pings_at_most_one(message: dict[str, Any], texts: list[str]) -> bool:
    """True if a message pings nobody, or only the one person that its text mentions."""
    allowed = dict(message.get("allowed_mentions") or {"parse": None})
    users, replied = allowed.pop("users", []), allowed.pop("replied_user", False)
    mentioned = re.findall(r"<@!?(\d+)>", "\n".join(texts))
    return allowed == {"parse": []} and not replied and (not users or list(map(str, users)) == mentioned)


def _read(embed: dict[str, Any]) -> list[str]:
    """Yield the texts of an embed that are read as markdown."""
    fields = [text for item in embed.get("fields", []) for text in (item["name"], item["value"])]
    return [embed.get("title") or "", embed.get("description") or "", *fields]


def _characters(embed: dict[str, Any]) -> int:
    fields = [text for item in embed.get("fields", []) for text in (item["name"], item["value"])]
    named = [embed.get("footer", {}).get("text"), embed.get("author", {}).get("name")]
    return sum(len(text or "") for text in (embed.get("title"), embed.get("description"), *named, *fields))


def _is_id(name: str, value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and (name == "id" or name.endswith("_id"))


def _said(error: ValidationError) -> str:
    cause = _cause(error)
    where = "/".join(str(part) for part in cause.absolute_path)
    return f"{where or 'the body'}: {cause.message[:500]}"


def _cause(error: ValidationError) -> ValidationError:
    """Return the innermost error; among alternatives, that of the closest one."""
    branches: dict[object, list[ValidationError]] = {}
    for below in error.context or ():
        branches.setdefault(below.schema_path[0], []).append(below)
    if not branches or all(below.validator == "const" and not below.path for below in error.context or ()):
        return error
    likely = min(branches.values(), key=_strangeness)
    return _cause(max(likely, key=lambda below: len(below.absolute_path)))


def _strangeness(errors: list[ValidationError]) -> tuple[bool, int]:
    """Distance of a value from an alternative: another `type`, then the number of errors."""
    return any(list(error.path) == ["type"] or error.validator == "type" for error in errors), len(errors)
