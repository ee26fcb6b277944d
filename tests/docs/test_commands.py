"""Slash commands, their options, menus and buttons: all documented, and no others."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import discord
from discord import app_commands

from bot.config import Limits
from bot.frontend import registry as commands
from bot.frontend.commands import imagine
from bot.frontend.invite import PERMISSIONS
from bot.service import Safety
from tests.docs.conftest import DOCUMENTS, Document

Leaf = app_commands.Command[Any, ..., Any]
MANAGED = (
    *("/styles add", "/styles remove", "/wildcards save", "/wildcards delete"),
    *("/models allow", "/models deny", "/models default"),
)
"""Commands that Discord shows to all, and that the service does for those who manage the server."""


def leaves() -> Iterator[Leaf]:
    """List every slash command."""
    for item in (imagine.command(), *commands.COMMANDS):
        if isinstance(item, app_commands.Group):
            yield from (each for each in item.walk_commands() if isinstance(each, app_commands.Command))
        elif isinstance(item, app_commands.Command):
            yield item


def name_of(leaf: Leaf) -> str:
    return f"/{leaf.qualified_name}"


def for_managers(leaf: Leaf) -> bool:
    """True if only those who manage the server can use it."""
    shown_to = (leaf.root_parent or leaf).default_permissions
    return shown_to is not None or name_of(leaf) in MANAGED


def table(document: Document) -> dict[str, set[str]]:
    """Command and options of each row of a table of commands."""
    return {
        row[0].strip("`"): set(re.findall(r"`([\w-]+)`", row[1]))
        for row in document.rows()
        if len(row) == 3 and re.fullmatch(r"`/[a-z -]+`", row[0])
    }


def test_admin_md_holds_every_command_for_admins_with_its_options_and_no_other(document: dict[str, Document]) -> None:
    wanted = {name_of(leaf): {option.name for option in leaf.parameters} for leaf in leaves() if for_managers(leaf)}
    assert table(document["admin.md"]) == wanted


def test_admin_md_holds_every_limit_and_no_other(document: dict[str, Document]) -> None:
    rows = {row[0].strip("`") for row in document["admin.md"].rows() if len(row) == 2}
    assert {item.name for item in fields(Limits)} == rows - {mode.value for mode in Safety}


def test_every_slash_command_is_documented() -> None:
    texts = " ".join(item.text for item in DOCUMENTS)
    missing = []
    for leaf in leaves():
        group, _, name = name_of(leaf).rpartition(" ")
        # Commands of one group may be listed as `/channels list`, `allow`, `deny`.
        together = group and re.search(rf"`{group} [^\n|]*`{re.escape(name)}`", texts)
        if not re.search(rf"{re.escape(name_of(leaf))}(?![\w-])", texts) and not together:
            missing.append(name_of(leaf))
    assert missing == []


def test_every_option_of_every_command_is_documented() -> None:
    spans = {span for item in DOCUMENTS for span in item.spans()}
    wanted = {(name_of(leaf), option.name) for leaf in leaves() for option in leaf.parameters}
    assert len(wanted) > 40
    assert {(command, option) for command, option in wanted if option not in spans} == set()


def test_every_menu_entry_is_documented() -> None:
    texts = " ".join(item.text for item in DOCUMENTS)
    menus = [item for item in commands.COMMANDS if isinstance(item, app_commands.ContextMenu)]
    assert menus
    assert [menu.name for menu in menus if str(menu.name) not in texts] == []


def test_no_document_names_a_command_that_is_not_there() -> None:
    names = [name_of(leaf).split() for leaf in leaves()]
    known = {" ".join(name[:length]) for name in names for length in range(1, len(name) + 1)}
    spans = [(item.path.name, span) for item in DOCUMENTS for span in item.spans() if re.match(r"/[a-z]+( |$)", span)]
    assert len(spans) > 20
    unknown = []
    for name, span in spans:
        words = span.replace(":", " ").split()
        if words[0] not in known or (" ".join(words[:2]) not in known and is_group(words[0]) and len(words) > 1):
            unknown.append(f"{name}: {span}")
    assert unknown == []


def is_group(name: str) -> bool:
    return any(leaf.root_parent is not None and f"/{leaf.root_parent.name}" == name for leaf in leaves())


def test_the_permissions_that_are_asked_for_are_those_that_are_documented(document: dict[str, Document]) -> None:
    said = document["admin.md"].text.partition("The bot needs these permissions")[2].partition("\n\n")[0]
    named = {name.lower().replace(" ", "_") for name in re.findall(r"\*([A-Z][A-Za-z ]+)\*", said)}
    assert discord.Permissions(**dict.fromkeys(named, True)) == PERMISSIONS
