"""Model sets in a worker's memory: as many as fit, and advice about those that are not there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.worker.engine import GeneratorEngine
from bot.worker.resident import ResidentSets
from generator import GenerationRequest, InvalidRequest, Message, Models, OutOfMemory, Settings
from generator.runtime.memory import MemoryBudget

SMALL = Settings(size="64x64", cutouts=4, start="random")


class Memory:
    """Memory of a device in which every set takes as much as the tiny models really do."""

    def __init__(self, models: Models, bytes_in_all: int) -> None:
        self.models, self.total = models, bytes_in_all
        self.sets = ResidentSets(self.load)

    def free(self) -> int:
        return self.total - len(self.sets.names) * self.models.weight_bytes

    def load(self, name: str) -> Models:
        if self.free() < self.models.weight_bytes:
            raise OutOfMemory(Message("It does not fit."))
        return replace(self.models, name=name, budget=MemoryBudget(self.free))


def test_the_least_recently_used_set_goes_when_there_is_no_room(models: Models) -> None:
    memory = Memory(models, int(2.5 * models.weight_bytes))
    for name in ("a", "b", "a", "c"):
        assert memory.sets.use(name).name == name
    assert memory.sets.names == ("a", "c")
    assert memory.sets.room == 2
    assert set(memory.sets.load_s) == {"a", "b", "c"}


def test_a_set_that_fits_alone_is_loaded_although_nothing_said_how_large_it_is(models: Models) -> None:
    memory = Memory(models, int(1.5 * models.weight_bytes))
    memory.sets.use("a")
    memory.sets._bytes["a"] = 1
    memory.sets.use("b")
    assert memory.sets.names == ("b",)
    with pytest.raises(OutOfMemory):
        Memory(models, 1).sets.use("a")


def test_other_sets_go_before_a_picture_becomes_smaller(models: Models) -> None:
    memory = Memory(models, 2**40)
    kept = memory.sets.use("a")
    memory.sets.use("b")
    memory.sets.make_room_for(SMALL, kept)
    assert memory.sets.names == ("a", "b")
    memory.total = 3 * models.weight_bytes
    wide = SMALL.merged({"size": "512x512"})
    memory.sets.make_room_for(wide, memory.sets.use("b"))
    assert memory.sets.names == ("b",)


def test_a_set_is_advised_about_without_its_files() -> None:
    engine = GeneratorEngine("starter", "cpu", offered=["faceshq"])
    request = GenerationRequest(prompt="x " * 90, models="faceshq", settings=SMALL.merged({"size": "100x64"}))
    said = engine.request_warnings(request)
    assert any("77 tokens" in text for text in said) and len(said) == 2
    with pytest.raises(InvalidRequest, match="have no prior"):
        engine.request_warnings(GenerationRequest(prompt="x", models="faceshq", settings=Settings(start="prior")))
    with pytest.raises(InvalidRequest, match="'starter', 'faceshq'"):
        engine.request_warnings(GenerationRequest(prompt="x", models="wikiart-1024"))
    assert engine.status().resident == ()
    assert engine.suggested("starter").has_prior and engine.suggested("faceshq").defaults == {}


def test_the_starter_advises_while_the_device_has_other_models(models: Models) -> None:
    engine = GeneratorEngine("tiny", "cpu", offered=["starter"])
    engine._sets.put(models)
    request = GenerationRequest(prompt="a qwertz", models="starter", settings=SMALL)
    assert any("qwertz" in text for text in engine.request_warnings(request))
    assert engine.status().resident == ("tiny",)
