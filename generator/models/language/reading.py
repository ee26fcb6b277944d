"""Reading of prompts: names of people left out, emoji named, other languages put into English, mistakes mended.

A reader belongs to a model set with a small vocabulary, such as the starter; sets that were trained on the whole web
have none. No torch; any thread.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from generator.messages import Message
from generator.models.language.spelling import Spelling
from generator.models.language.translation import Translator
from generator.models.lexicon import Lexicon, singular
from generator.models.wording import style_words
from generator.prompts import Scene

_WORD = re.compile(r"[^\W_]+")
BEFORE_NAMES = (
    "in the style of", "in the manner of", "inspired by", "art by", "painted by", "painting by", "drawn by",
    "by", "like",
)  # fmt: skip
"""Words that are left out together with the name that they introduce."""
_LANGUAGES = {
    str(name): name
    for name in (
        Message("German"), Message("French"), Message("Spanish"), Message("Portuguese"), Message("Italian"),
        Message("Dutch"), Message("Polish"), Message("Russian"), Message("Turkish"), Message("Japanese"),
        Message("Korean"), Message("Chinese"),
    )
}  # fmt: skip
_SHOWN = 5
"""Number of words or names that a note lists."""


@dataclass(frozen=True)
class Reading:
    """A prompt as the models should read it.

    Attributes:
        text: what to embed; the typed text if there is nothing to change.
        notes: sentences for the requester about what was changed.
        unknown: typed words without a meaning in the language that they were read in.
    """

    text: str
    notes: tuple[Message, ...] = ()
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True)
class ReadPrompts:
    """The prompts of a request as its models should read them.

    Attributes:
        scenes: those of the request, with the texts to embed.
        notes: sentences for the requester about what was changed.
        unknown: typed words without a meaning in the language that they were read in.
    """

    scenes: tuple[Scene, ...]
    notes: tuple[Message, ...] = ()
    unknown: tuple[str, ...] = ()


_PROPER, _TELLING = 0.5, 3
"""Share of the letters of an English word that counts as known where the models do not know it but another word of at
least `_TELLING` letters."""


class Reader:
    """Read prompts for one model set.

    Args:
        lexicon: the words of the models.
        translator: dictionaries of other languages, and names of emoji.
        people: full names of artists and other people, in lower case, that hold words such as "van" or "fox".
        is_word: tells proper English words from typing mistakes.
    """

    def __init__(
        self, lexicon: Lexicon, translator: Translator, people: Iterable[str], is_word: Callable[[str], bool]
    ) -> None:
        self._words, self._translator, self._is_word = lexicon.words, translator, is_word
        self._spelling = Spelling(lexicon.everyday, lexicon.words, is_word)
        names = "|".join(sorted(map(re.escape, people), key=len, reverse=True))
        named = rf"(?:,?\s*\b(?:{'|'.join(BEFORE_NAMES)})\s+)?\b(?:{names})(?:['’]s)?\b" if names else r"(?!)"
        self._named = re.compile(named, re.IGNORECASE)

    def read(self, typed: str) -> Reading:
        """Read one prompt without weights."""
        notes: list[Message] = []
        text = self._without_names(typed, notes)
        if notes and text == typed:  # a name alone
            return Reading(typed, tuple(notes))
        text = self._translator.name_emoji(text)
        translation = self._translator.translate(text, self._known_share(text))
        if translation is not None:
            # English names of styles are used in other languages too.
            named = style_words(text)
            styles = [word for word in translation.unknown if word.casefold() in named]
            read = ", ".join((translation.text, *styles))
            language = _LANGUAGES.get(translation.language, translation.language)
            notes.append(Message("Read as “{words}” ({language}).", words=read, language=language))
            return Reading(read, tuple(notes), tuple(word for word in translation.unknown if word not in styles))
        text = self._mended(text, notes)
        return Reading(text, tuple(notes)) if text.strip() else Reading(typed, tuple(notes))

    def read_scenes(self, scenes: Sequence[Scene]) -> ReadPrompts:
        """Read every prompt of a story; weights and stops stay."""
        typed = dict.fromkeys(prompt.text for scene in scenes for prompt in scene.prompts)
        readings = {text: self.read(text) for text in typed}
        read = [
            Scene(tuple(prompt._replace(text=readings[prompt.text].text) for prompt in scene.prompts))
            for scene in scenes
        ]
        notes = dict.fromkeys(note for reading in readings.values() for note in reading.notes)
        unknown = dict.fromkeys(word for reading in readings.values() for word in reading.unknown)
        return ReadPrompts(tuple(read), tuple(notes), tuple(unknown))

    def _without_names(self, text: str, notes: list[Message]) -> str:
        found = [match[0] for match in self._named.finditer(text)]
        if not found:
            return text
        names = ", ".join(f"“{name.strip(' ,')}”" for name in found[:_SHOWN])
        notes.append(Message("These models know no people: {names} changes nothing.", names=names))
        rest = " ".join(self._named.sub(" ", text).split())
        return rest if _WORD.search(rest) else text

    def _known_share(self, text: str) -> float:
        """Share of the letters that belong to English words of the models, 0..1; 1 for styles alone."""
        # Names of styles are much the same in all languages.
        styles = style_words(text)
        words = [word for word in _WORD.findall(text.casefold()) if word not in styles]
        # "a plastic cat" is English, since "cat" is; "papillon bleu" is not, though both are English words as well.
        proper = _PROPER if any(self._knows(word) for word in words if len(word) >= _TELLING) else 0.0
        known = sum(len(word) * self._sureness(word, proper) for word in words)
        return known / sum(map(len, words)) if words else float(bool(styles))

    def _sureness(self, word: str, proper: float) -> float:
        if word not in self._words and self._translator.is_small(word):  # "des chats", though "chat" is English too
            return 0.0
        if self._knows(word):
            return 1.0
        return 0.8 if self._spelling.correct(word) else proper * self._is_word(word)

    def _knows(self, word: str) -> bool:
        return word.isdigit() or not self._words.isdisjoint((word, *singular(word)))

    def _mended(self, text: str, notes: list[Message]) -> str:
        styles = style_words(text)

        def mend(match: re.Match[str]) -> str:
            word = match[0].casefold()
            if word in styles or self._knows(word):
                return match[0]
            meant = self._spelling.correct(word)
            if meant is not None:
                mended.append((match[0], meant))
                return meant
            near = () if self._is_word(word) else self._spelling.near(word)
            if near:
                doubtful.append((match[0], near))
            return match[0]

        mended: list[tuple[str, str]] = []
        doubtful: list[tuple[str, tuple[str, ...]]] = []
        text = _WORD.sub(mend, text)
        for typed, meant in mended[:_SHOWN]:
            notes.append(Message("“{typed}” was read as “{meant}”.", typed=typed, meant=meant))
        for typed, near in doubtful[:_SHOWN]:
            words = ", ".join(f"“{word}”" for word in near)
            notes.append(Message("Did you mean {words} instead of “{typed}”?", words=words, typed=typed))
        return text
