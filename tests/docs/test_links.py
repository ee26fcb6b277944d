"""Every relative link and picture of README and docs leads to a file in the repository, and to a heading."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from urllib.parse import unquote

from tests.docs.conftest import DOCUMENTS, ROOT, Document

LINK = re.compile(r"\]\(<?([^)\s>]+)>?\)")
FOREIGN = re.compile(r"[a-z]+:", re.IGNORECASE)


def dead_links(document: Document) -> list[str]:
    """List broken links of a document, with the reason."""
    found = []
    for link in LINK.findall(document.prose):
        if FOREIGN.match(link):
            continue
        name, _, anchor = link.partition("#")
        target = (document.path.parent / unquote(name)).resolve() if name else document.path
        if not target.exists() or not target.is_relative_to(ROOT):
            found.append(f"{document.path.name}: {link} is not there")
        elif anchor and target.suffix == ".md" and anchor not in Document(target).anchors():
            found.append(f"{document.path.name}: {link} has no such heading")
    return found


def test_every_relative_link_is_alive() -> None:
    assert sum(len(LINK.findall(item.prose)) for item in DOCUMENTS) > 20
    assert [dead for item in DOCUMENTS for dead in dead_links(item)] == []


def test_every_linked_file_is_committed_or_about_to_be() -> None:
    git = shutil.which("git")
    assert git is not None
    ignored = []
    for item in DOCUMENTS:
        for link in LINK.findall(item.prose):
            name = link.partition("#")[0]
            if name and not FOREIGN.match(link):
                path = item.path.parent / unquote(name)
                done = subprocess.run([git, "check-ignore", "--quiet", str(path)], cwd=ROOT, check=False)
                ignored += [link] if done.returncode == 0 else []
    assert ignored == []


def test_every_picture_is_shown_by_a_document() -> None:
    shown = {Path(unquote(link)).name for item in DOCUMENTS for link in LINK.findall(item.prose)}
    assert {path.name for path in (ROOT / "docs" / "images").iterdir()} - shown == set()


def test_dead_links_would_be_found() -> None:
    document = Document(ROOT / "docs" / "nowhere.md")
    document.__dict__["text"] = "[a](gone.md) [b](using.md#no-such-heading) ![c](images/gone.png) [d](https://e.org)"
    assert len(dead_links(document)) == 3


def test_every_document_is_linked_from_another_one() -> None:
    linked = {
        (item.path.parent / unquote(link.partition("#")[0])).resolve()
        for item in DOCUMENTS
        for link in LINK.findall(item.prose)
        if not FOREIGN.match(link)
    }
    assert [item.path.name for item in DOCUMENTS[1:] if item.path not in linked] == []
