"""Prompts that stand for many: groups, lists, draws, and what stays as typed."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import OverLimit, Refused
from bot.service.submission.expansion import expanded

LISTS = {"animals": ("cat", "dog", "fox"), "Colours": ("red", "dark blue")}


@pytest.mark.parametrize(
    ("prompt", "prompts"),
    [
        ("a {red, blue} cat", ["a red cat", "a blue cat"]),
        ("{a, b} in {c, d}", ["a in c", "a in d", "b in c", "b in d"]),
        ("a {, red} cat --steps {50,100}", ["a cat --steps 50", "a cat --steps 100", "a red cat --steps 50",
                                            "a red cat --steps 100"]),
        ("{a,a} cat", ["a cat"]),
        ("one __ANIMALS__", ["one cat", "one dog", "one fox"]),
        ("a __colours__ {cup, hat}", ["a red cup", "a red hat", "a dark blue cup", "a dark blue hat"]),
        (r"\{a, b} {c\, d, e}", ["{a, b} c, d", "{a, b} e"]),
        ("a {red} cat", ["a {red} cat"]),
        ("snake__animals__case", ["snake__animals__case"]),
        ("a:2 | {fog:-1, rain:-0.5}", ["a:2 | fog:-1", "a:2 | rain:-0.5"]),
    ],
)  # fmt: skip
def test_a_prompt_stands_for_every_combination(prompt: str, prompts: list[str]) -> None:
    assert list(expanded(prompt, LISTS, 100).prompts) == prompts


def test_a_draw_takes_different_entries_at_random() -> None:
    drawn = [expanded("a __animals:2__", LISTS, 100).prompts for _ in range(40)]
    assert all(len(set(prompts)) == 2 for prompts in drawn)
    assert {prompt for prompts in drawn for prompt in prompts} == {"a cat", "a dog", "a fox"}


def test_one_or_two_groups_label_the_sheet_and_more_do_not() -> None:
    assert expanded("{a, b} cat", LISTS, 100).axes == (("a", "b"), ())
    assert expanded("{a, b} __colours__", LISTS, 100).axes == (LISTS["Colours"], ("a", "b"))
    assert expanded("{a, b} {c, d} {e, f}", LISTS, 100).axes == ((), ())
    assert expanded("{a, a} {c, d}", LISTS, 100).axes == ((), ())


@pytest.mark.parametrize("prompt", ["__plants__", "__animals:4__", "__animals:0__"])
def test_an_unknown_list_or_an_impossible_draw_is_refused(prompt: str) -> None:
    with pytest.raises(Refused):
        expanded(prompt, LISTS, 100)


def test_without_any_list_such_words_are_text() -> None:
    assert expanded("an __underlined__ word", {}, 100).prompts == ("an __underlined__ word",)


def test_too_many_are_refused_before_they_are_built() -> None:
    with pytest.raises(OverLimit, match="10000000000"):
        expanded("{0,1,2,3,4,5,6,7,8,9}" * 10, LISTS, 100)


@given(st.text(alphabet="ab{},\\_: animals", max_size=60))
def test_any_text_is_expanded_or_refused(prompt: str) -> None:
    with suppress(Refused):
        assert expanded(prompt, LISTS, 1_000).prompts
