"""Plain English in the documents: no statement begins with a question word, and no private words are used."""

from __future__ import annotations

import re

from tests.docs.conftest import DOCUMENTS, ROOT, Document

BEGINNING = re.compile(
    r"(?:^|[.!?|] |^#+ |^[-*] |^\d+\. )\**(What|Whether|Who|Whoever|Whose|By what|So often)\b", re.MULTILINE
)
PRIVATE = re.compile(r"\b(painters?|dreamers?|wish|wishes|amiss|for ever|whoever)\b", re.IGNORECASE)
GENERATED = re.compile(r"<!-- (?:imports|modules) of \w+ -->.*?<!-- end of", re.DOTALL)
WRITTEN = (*DOCUMENTS, Document(ROOT / "CHANGELOG.md"))


def written_by_hand(text: str) -> str:
    """A document without tables made from the code, code blocks and names in backticks."""
    return re.sub(r"```.*?```|`[^`\n]+`", "", GENERATED.sub("", text), flags=re.DOTALL)


def oddities(text: str) -> list[str]:
    """List sentences and words to rewrite."""
    found = [*BEGINNING.finditer(text), *PRIVATE.finditer(text)]
    return [text[match.start() : match.end() + 40].strip() for match in found]


def test_documents_are_in_plain_english() -> None:
    assert {item.path.name: oddities(written_by_hand(item.text)) for item in WRITTEN} == {
        item.path.name: [] for item in WRITTEN
    }


def test_odd_sentences_would_be_found() -> None:
    for text in ("What it costs is told.", "Good. Whoever reads it", "| a | Whether it runs |", "## What was tried"):
        assert oddities(text)
    assert oddities("The painter takes it.")
    assert not oddities("Nobody asked what happened.")
