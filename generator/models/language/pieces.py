"""Tokenizers that lie beside a model: a `tokenizer.json` as Hugging Face's package tokenizers writes and reads it.

The only module that imports that package, which is optional. The file is read as data, from the disk alone. The pieces
that start, end and pad a text are set here, since the file's own settings differ between uploads of one model.
"""

from __future__ import annotations

import importlib.util
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from generator.errors import CheckpointError

FILE_NAME = "tokenizer.json"
_PACKAGE = "tokenizers"
_MAX_BYTES = 2**26
_ROOM = 256
"""Pieces by which a table of embeddings and its tokenizer may differ: tables are rounded up, spare pieces added."""


@dataclass(frozen=True)
class _Marks:
    """Pieces that frame a text: start (if any), end, padding, and the padding's id, if the model fixes it."""

    start: str | None
    end: str
    padding: str
    padding_id: int | None = None


_MARKS: Mapping[str, tuple[_Marks, ...]] = {
    # Gemma's tokenizer, of SigLIP 2, has the second ones.
    "siglip": (_Marks(None, "</s>", "</s>"), _Marks(None, "<eos>", "<pad>")),
    "roberta": (_Marks("<s>", "</s>", "<pad>", 1),),
    "bert": (_Marks("[CLS]", "[SEP]", "[PAD]", 0),),
}
_PUNCTUATION = str.maketrans("_", " ", string.punctuation.replace("_", ""))


def require(file: Path) -> None:
    """Check that a tokenizer can be read, before anything large is.

    Raises:
        CheckpointError: if the file or the package is missing; the message says what to put where.
    """
    if not file.is_file():
        raise CheckpointError(
            f"{file} is missing: this perceptor reads text by a tokenizer of its own. Put the {FILE_NAME} that its "
            "authors publish with it there."
        )
    if importlib.util.find_spec(_PACKAGE) is None:
        raise CheckpointError(
            f"{file.parent.name or file} has a tokenizer of its own, which needs the package {_PACKAGE}; install it "
            "with: make setup EXTRAS=tokenizer"
        )
    if file.stat().st_size > _MAX_BYTES:
        raise CheckpointError(f"{file} is too large for a tokenizer; get it again.")


class Pieces:
    """A tokenizer for one text tower.

    Attributes:
        context: most tokens of a text, with its marks.
    """

    def __init__(self, file: Path, tower: str, context: int, rows: int) -> None:
        """Read a file; `tower` is siglip, roberta or bert, `rows` the number of embeddings in its table.

        Raises:
            CheckpointError: if the file is missing, damaged, or does not belong to the tower.
        """
        require(file)
        self.context, self._rows, self._file = context, rows, file
        self._tokenizer = _read(file)
        size: int = self._tokenizer.get_vocab_size(with_added_tokens=False)
        if abs(size - rows) > _ROOM:
            raise CheckpointError(
                f"{file} has {size} pieces, and the model beside it {rows}: it belongs to another model; put its own "
                "there."
            )
        marks = next((each for each in _MARKS[tower] if self._has(each)), None)
        if marks is None:
            wanted = " or ".join(f"{each.end} and {each.padding}" for each in _MARKS[tower])
            raise CheckpointError(f"{file} lacks the pieces {wanted}: it belongs to another model; put its own there.")
        find = self._tokenizer.token_to_id
        self._start: list[int] = [] if marks.start is None else [find(marks.start)]
        self._end, self._padding = find(marks.end), find(marks.padding)
        self._whole = tower == "siglip"
        self._clean: Callable[[str], str] = _plain
        if self._whole:
            self._clean = _canonical if marks.end == "</s>" else str.lower
        self._unknown: int | None = next((find(name) for name in ("<unk>", "[UNK]") if find(name) is not None), None)
        added = self._tokenizer.get_added_tokens_decoder()
        self._special = {number for number, token in added.items() if token.special} - {self._unknown}

    def _has(self, marks: _Marks) -> bool:
        find = self._tokenizer.token_to_id
        names = {marks.end, marks.padding} if marks.start is None else {marks.start, marks.end, marks.padding}
        if any((number := find(name)) is None or number >= self._rows for name in names):
            return False
        return marks.padding_id is None or find(marks.padding) == marks.padding_id

    def ids(self, text: str) -> list[int]:
        """Encode a text without its marks; typed marks are left out.

        Raises:
            CheckpointError: if the tokenizer cannot, as one without a piece for what it does not know.
        """
        try:
            found: list[int] = self._tokenizer.encode(self._clean(text), add_special_tokens=False).ids
        except Exception as exc:  # the package raises plain ones
            reason = " ".join(str(exc).split())[:120]
            raise CheckpointError(f"{self._file} cannot read a text ({reason}); get it again.") from exc
        return [number for number in found if number < self._rows and number not in self._special]

    def batch(self, texts: Sequence[str]) -> Tensor:
        """Encode texts with their marks `[N, L] int64`, cut and padded to one length."""
        room = self.context - len(self._start) - 1
        rows = [[*self._start, *self.ids(text)[:room], self._end] for text in texts]
        length = self.context if self._whole else max(map(len, rows))
        tokens = torch.full((len(rows), length), self._padding, dtype=torch.long)
        for row, numbers in zip(tokens, rows, strict=True):
            row[: len(numbers)] = torch.tensor(numbers)
        return tokens

    def fits(self, text: str) -> bool:
        """True if the whole text is read."""
        return len(self.ids(text)) <= self.context - len(self._start) - 1

    def knows(self, word: str) -> bool:
        """True if the tokenizer has pieces for all of a word."""
        return self._unknown not in self.ids(word)


def _plain(text: str) -> str:
    return text


def _canonical(text: str) -> str:
    """Lower case without punctuation, as SigLIP was trained (big_vision's and open_clip's `canonicalize_text`)."""
    return " ".join(text.translate(_PUNCTUATION).lower().split())


def _read(file: Path) -> Any:  # noqa: ANN401 - the package is optional
    import tokenizers

    try:
        tokenizer = tokenizers.Tokenizer.from_str(file.read_text(encoding="utf-8"))
    except OSError as exc:
        raise CheckpointError(f"{file} cannot be read ({exc.strerror}); look at its permissions and disk.") from exc
    except Exception as exc:  # the package raises plain ones
        reason = " ".join(str(exc).split())[:120]
        raise CheckpointError(f"{file} is no tokenizer of Hugging Face's kind ({reason}); get it again.") from exc
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer
