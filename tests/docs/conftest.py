"""Fixtures: the documents, parsed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_CELL = re.compile(r"(?<!\\)\|")


@dataclass(frozen=True)
class Document:
    """A Markdown file of the repository."""

    path: Path

    @cached_property
    def text(self) -> str:
        """The whole text."""
        return self.path.read_text("utf-8")

    @cached_property
    def prose(self) -> str:
        """The text outside of code blocks."""
        return _FENCE.sub("", self.text)

    def blocks(self, *languages: str) -> list[str]:
        """Code blocks in one of these languages."""
        return [match[2] for match in _FENCE.finditer(self.text) if match[1] in languages]

    def spans(self) -> list[str]:
        """The names in backticks in the prose."""
        return [span.replace("\\|", "|") for span in re.findall(r"`([^`\n]+)`", self.prose)]

    def rows(self) -> Iterator[list[str]]:
        """The cells of each row of each table, without heads and rulers."""
        lines = self.prose.splitlines()
        for number, line in enumerate(lines):
            is_head = number + 1 < len(lines) and lines[number + 1].startswith("|---")
            if line.startswith("|") and not line.startswith("|---") and not is_head:
                yield [cell.strip() for cell in _CELL.split(line)[1:-1]]

    def anchors(self) -> set[str]:
        """Targets of links into this file: its headings as GitHub names them."""
        heads = re.findall(r"^#+ (.+)$", self.prose, re.MULTILINE)
        return {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads}


DOCUMENTS = tuple(Document(path) for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))))


@pytest.fixture
def documents() -> tuple[Document, ...]:
    """README and everything in docs/."""
    return DOCUMENTS


@pytest.fixture
def document() -> dict[str, Document]:
    """The same by the names of the files."""
    return {item.path.name: item for item in DOCUMENTS}
