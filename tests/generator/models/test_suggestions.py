"""Suggestions after unknown words: near words that are known, and prompts that work well."""

from __future__ import annotations

from dataclasses import replace

import pytest

from generator import GenerationRequest, Models, Settings, request_warnings
from generator.loading import STARTER, read_yaml
from generator.models.language.suggestions import nearest, suggestions

KNOWN = frozenset(("castle", "space", "ship", "kitten", "water", "fall", "house", "cat"))
EXAMPLES = ("a red apple", "a castle at night", "a blue cat", "a pink cake")


@pytest.mark.parametrize(
    ("word", "found"),
    [("castel", ["castle"]), ("spaceship", ["space", "ship"]), ("waterfall", ["water", "fall"]), ("zeppelin", [])],
)
def test_near_words_are_spelt_alike_or_part_of_the_word(word: str, found: list[str]) -> None:
    assert nearest(word, KNOWN) == found


def test_without_unknown_words_nothing_is_suggested() -> None:
    assert suggestions((), KNOWN, EXAMPLES) == ()


def test_unknown_words_are_followed_by_near_ones_and_three_prompts() -> None:
    near, prompts = suggestions(("Castel", "zeppelin", "Castel"), KNOWN, EXAMPLES)
    assert near == "The nearest words that they know: “castel”: castle."
    assert sum(f"“{example}”" in prompts for example in EXAMPLES) == 3


def test_the_same_words_get_the_same_prompts_and_other_words_others() -> None:
    found = {suggestions((word,), frozenset(), EXAMPLES) for word in "abcdefghij" for _ in range(2)}
    assert len(found) == len(EXAMPLES)


def test_models_that_know_every_word_suggest_nothing(models: Models) -> None:
    request = GenerationRequest(prompt="a zeppelin", models=models.name)
    taught = replace(models, things=KNOWN, examples=EXAMPLES)
    assert not any("paint well" in warning for warning in request_warnings(request, taught))


@pytest.mark.slow
def test_the_starter_suggests_prompts_of_which_it_knows_every_word() -> None:
    from generator import load_models

    models = load_models("starter", "cpu")
    assert models.examples == tuple(read_yaml(STARTER / "starter.yaml").examples)
    for example in models.examples:
        assert request_warnings(GenerationRequest(prompt=example), models) == ()
    warnings = request_warnings(GenerationRequest(prompt="a castel by a zamboni"), models)
    assert [warning.partition(":")[0] for warning in warnings] == [
        "These models have never seen the words “castel”, “zamboni”; they do not know what they mean.",
        "The nearest words that they know",
        "Prompts that they paint well",
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    "style", ["watercolour", "gouache", "3D", "4k", "clip art", "an etching", "graffiti", "colouring page", "8-bit"]
)
def test_the_starter_takes_styles_for_known_words(style: str) -> None:
    from generator import Settings, load_models

    models = load_models("starter", "cpu")
    settings = Settings().merged(models.defaults)
    request = GenerationRequest(prompt=f"a cat, {style}", settings=settings)
    assert request_warnings(request, models) == ()
    # Without the prior's start nobody reads the style for what it is.
    noise = replace(request, prompt="a cat, gouache", settings=settings.merged({"start": "random"}))
    assert "“gouache”" in request_warnings(noise, models)[0]


@pytest.mark.slow
def test_a_colour_is_a_near_word_too() -> None:
    from generator import load_models

    near = request_warnings(GenerationRequest(prompt="a bleu cat"), load_models("starter", "cpu"))[1]
    assert "“bleu”: blue" in near


def test_a_note_names_what_is_drawn_otherwise_and_what_is_not_shown(starter: Models) -> None:
    settings = Settings().merged(starter.defaults)

    def warnings(prompt: str) -> tuple[str, ...]:
        return request_warnings(GenerationRequest(prompt=prompt, settings=settings), starter)

    assert warnings("a portrait of a retriever sleeping on a sofa") == (
        "“retriever” is drawn as “dog”: these models have no drawing of it.",
        "The picture does not show “sleeping”: these models have no drawing of that.",
    )
    assert warnings("a robot dog with green eyes") == (
        "The picture does not show “robot”, “green”, “eyes”: these models cannot combine that with the rest.",
    )
    assert warnings("a big red apple at night, watercolour") == ()
    assert warnings("on a table there is an apple") == ()
