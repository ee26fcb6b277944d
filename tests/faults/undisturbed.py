"""Finished pictures made again from their recipes, without any interruption. Blocking; any thread."""

from __future__ import annotations

from functools import lru_cache

from bot.worker.engine import GeneratorEngine
from bot.worker.protocol import Engine
from generator import GenerationRequest, Recipe, encode, recipe_to_json
from tests.bot.fake_dream import FakeDreamer


class Undisturbed:
    """Results of the same requests without faults."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.generated = lru_cache(maxsize=None)(self._generate)
        """The file of a request's picture and its last snapshot, given that of its parent."""

    def files(self, request: GenerationRequest) -> set[bytes]:
        """The possible files."""
        return {self.generated(request, latent)[0] for latent in self._latents(request.parent)}

    def _latents(self, request: GenerationRequest | None) -> set[bytes | None]:
        """Return the possible starts of a child; None is one, as its parent may be deleted before the child's turn.

        Only the quick fake engine tells these cases apart; the starter's makes the parent again, to the same bytes.
        """
        if request is None or not isinstance(self._engine, FakeDreamer):
            return {None}
        return {None, *(self.generated(request, latent)[1] for latent in self._latents(request.parent))}

    def _generate(self, request: GenerationRequest, parent: bytes | None) -> tuple[bytes, bytes]:
        dream = self._engine.begin(request, parent)
        while not dream.finished:
            dream.step()
        picture = dream.picture()
        recipe = recipe_to_json(Recipe(request=picture.request, made_with=picture.made_with))
        return encode(picture.image, "png", recipe), dream.snapshot()


def quick() -> Undisturbed:
    """For the dream without models."""
    return Undisturbed(FakeDreamer())


def starter() -> Undisturbed:
    """For the starter models on one CPU thread, like the process with OMP_NUM_THREADS=1."""
    import torch

    torch.set_num_threads(1)
    engine = GeneratorEngine("starter", "cpu")
    engine.load()
    return Undisturbed(engine)
