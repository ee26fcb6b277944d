"""Blocked words in prompts; no search takes long, for any rule."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import NotFound
from bot.service.prompt_rules import first_hit, tidy
from tests.bot.real_service import GUILD, RealService


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ("ass", "an ass in a field"),
        ("ass", "ASS"),
        ("ass", "a|ass:2"),
        ("bad word", "a bad  word here"),
        ("bad word", "bad, word"),
        ("bad word", "bad | word"),
        ("straße", "die STRASSE"),
        ("ass", "a\u200bss"),
        ("ass", "\N{FULLWIDTH LATIN SMALL LETTER A}ss"),
        ("nud*", "nudity"),
        ("*berry", "a blackberry"),
        ("b*d", "bad"),
        ("🍆", "an 🍆 in a basket"),
        ("größe", "eine GRÖSSE".replace("SS", "ẞ")),
        ("привет", "ПРИВЕТ мир"),
    ],
)
def test_a_rule_hits_its_word_in_whatever_form(rule: str, text: str) -> None:
    assert first_hit([rule], text) == rule


INVISIBLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u180b\u180e\u200b\u200c\u200d\u200f\u202e\u2060\u2064\u2065\u206f\u2800\u3164\ufe00\ufe0f"
    "\ufeff\uffa0\ufff0\U0001d173\U000e0001\U000e0061\U000e0100\U000e0fff\x00\x1b\x7f\x9f"
)


@pytest.mark.parametrize("char", INVISIBLE, ids=lambda char: f"{ord(char):x}")
def test_a_character_that_shows_nothing_hides_no_word(char: str) -> None:
    assert first_hit(["word"], f"a w{char}o{char}{char}rd{char} here") == "word"
    assert first_hit([f"w{char}ord"], "a word") is not None
    assert first_hit(["wörd"], f"a wo{char}\u0308rd") == "wörd"
    assert first_hit([char, f"*{char}"], "any text") is None


@pytest.mark.parametrize("filler", "\u115f\u1160\u2800\u3164\uffa0", ids=lambda char: f"{ord(char):x}")
def test_a_filler_in_place_of_a_space_hides_no_word_either(filler: str) -> None:
    assert first_hit(["bad word"], f"a bad{filler}word") == "bad word"
    assert first_hit(["bad"], f"a{filler}bad{filler}word") == "bad"


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ("ass", "grass and glass"),
        ("ass", "assassin"),
        ("bad word", "a bad sword"),
        ("nud*", "canud"),
        ("a.b", "axb"),
        ("ass", ""),
        ("cat", "a concatenation"),
    ],
)
def test_a_rule_does_not_hit_other_words(rule: str, text: str) -> None:
    assert first_hit([rule], text) is None


def test_the_first_rule_that_hits_is_named() -> None:
    assert first_hit(["cat", "dog", "bird"], "a bird and a dog") == "dog"


def test_a_rule_is_kept_tidy() -> None:
    assert tidy("  Bad\u200b   WORD ") == "bad word"


@given(st.text(max_size=20), st.text(max_size=60))
def test_no_rule_and_no_text_breaks_it(rule: str, text: str) -> None:
    first_hit([rule], text)


@given(st.from_regex(r"[a-z]{1,8}( [a-z]{1,8})?", fullmatch=True), st.text(alphabet="abc |,.", max_size=20))
def test_a_phrase_is_found_between_anything_that_is_no_word(rule: str, around: str) -> None:
    assert first_hit([rule], f"{around} {rule} {around}") == rule


@given(
    st.from_regex(r"[ab+]{1,2}(\*[ab+]{0,2}){0,2}( [ab+*]?[ab+]{1,2})?", fullmatch=True),
    st.text(alphabet="ab+ ,", max_size=16),
)
def test_nearest_places_find_what_a_search_of_all_places_finds(rule: str, text: str) -> None:
    words = [r"\w*".join(map(re.escape, word.split("*"))) for word in rule.split()]
    everywhere = re.compile(r"(?<!\w)" + r"\W+".join(words) + r"(?!\w)")
    assert bool(first_hit([rule], text)) == bool(everywhere.search(" ".join(text.split())))


@pytest.mark.parametrize(
    ("rule", "text"),
    [("a*" * 40 + "b", "a" * 6_000), ("+ " * 40 + "b", "+" * 6_000), ("a " * 40 + "b", "a " * 3_000)],
    ids=["stars", "signs", "words"],
)
def test_no_rule_of_an_admin_makes_the_search_endless(rule: str, text: str) -> None:
    # A search with backtracking would not return before the run is given up.
    assert first_hit([rule], text) is None


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nigth", "There is no style “nigth”. Did you mean “Night”? This server has: Night, oil, sketch."),
        ("zzz", "There is no style “zzz”. This server has: Night, oil, sketch."),
    ],
)
async def test_a_style_that_does_not_exist_names_the_nearest_and_the_list(
    name: str, said: str, bench: RealService
) -> None:
    words = bench.service.words
    words.host_styles = {"Night": "at night", "sketch": "pencil", "oil": "oil on canvas"}
    with pytest.raises(NotFound) as caught:
        await words.style(GUILD, name)
    assert str(caught.value) == said
    assert "oil, sketch" in caught.value.sentence.said("de")


async def test_a_list_of_many_styles_is_cut_short(bench: RealService) -> None:
    bench.service.words.host_styles = {f"style number {number:03}": "x" for number in range(90)}
    with pytest.raises(NotFound) as caught:
        await bench.service.words.style(GUILD, "zzz")
    assert len(str(caught.value)) < 1_000 and str(caught.value).endswith(", ….")


async def test_without_any_style_only_that_is_said(bench: RealService) -> None:
    bench.service.words.host_styles = {}
    with pytest.raises(NotFound, match=r"^There is no style “zzz”\.$"):
        await bench.service.words.style(GUILD, "zzz")
