"""Pages of the web gallery as HTML: templates of Jinja, which escapes every value. Any thread.

There are no scripts, and nothing is loaded from elsewhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from bot.service import WebDetails, WebPicture
from bot.texts import LANGUAGES, language_of, say

if TYPE_CHECKING:
    import jinja2

_FOLDER = Path(__file__).parent
STYLE = (_FOLDER / "static" / "style.css").read_bytes()
STYLE_NAME = f"style-{hashlib.sha256(STYLE).hexdigest()[:20]}.css"
ALT_TEXT = 300
"""Characters of a prompt in an alternative text."""


@dataclass(frozen=True)
class Tile:
    """A picture in the list, with the name of its small file; None if the file is missing."""

    picture: WebPicture
    file: str | None

    @property
    def address(self) -> str:
        """Address of its page, from the list."""
        return f"p/{self.picture.job_id}-{self.picture.number}"

    @property
    def alt(self) -> str:
        """Alternative text."""
        return self.picture.prompt[:ALT_TEXT]


@dataclass(frozen=True)
class Files:
    """Names of the files of a picture's page; None where there is none, or it is not to be shown."""

    full: str | None
    timelapse: str | None = None
    films: tuple[str, ...] = ()
    recipe: str | None = None


def list_page(
    locale: str, title: str, tiles: Sequence[Tile], *, search: str, older: Mapping[str, str], first: bool
) -> str:
    """The list of pictures; `older` are the query's values for the next page, empty at the end."""
    values = {"tiles": tiles, "search": search, "older": older, "first": first}
    return _render("list.html", locale, title, root="..", **values)


def picture_page(locale: str, title: str, details: WebDetails, files: Files) -> str:
    """The page of one picture."""
    job, picture = details.job, details.picture
    settings = job.settings.as_dict()
    facts = {
        "web_size": f"{picture.width} x {picture.height}",
        "web_seed": str(picture.seed),
        "web_steps": str(picture.steps),
        "web_models": job.models,
        "web_start": str(settings["start"]),
    }
    if job.film_s:
        facts |= {"web_film_s": f"{job.film_s:g} s"}
    made_at = datetime.fromtimestamp(job.ended_at or 0.0, UTC)
    values = {
        "job": job,
        "picture": picture,
        "files": files,
        "facts": facts,
        "made_at": made_at,
        "alt": job.prompt[:ALT_TEXT],
    }
    return _render("picture.html", locale, title, root="../..", **values)


def message_page(locale: str, text: str, root: str) -> str:
    """A page with nothing but a sentence; `root` is the path of the server's public address."""
    return _render("message.html", locale, say("web_title_alone", locale), root=root.rstrip("/"), text=text)


def chosen_language(accepted: str, usual: str) -> str:
    """The first of our languages in an `Accept-Language` header, which browsers sort; else the usual one."""
    for part in accepted.split(","):
        tag = part.partition(";")[0].strip().lower()
        if tag.partition("-")[0] in LANGUAGES:
            return language_of(tag)
    return usual


def _render(template: str, locale: str, title: str, *, root: str, **values: object) -> str:
    language = language_of(locale)
    said = partial(_said, locale)
    found = _templates().get_template(template)
    return found.render(language=language, title=title, say=said, style=f"{root}/{STYLE_NAME}", **values)


@cache
def _templates() -> jinja2.Environment:
    import jinja2  # Few bots have web galleries.

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _said(locale: str, key: str, **values: str | int) -> str:
    return say(key, locale, **values)
