"""Regions and margins in words: one canonical form, and a sentence for what is none."""

from __future__ import annotations

import pytest

from generator import InvalidRequest, Settings
from generator.notation.regions import Area, area_of, canonical_margins, canonical_region, margins_of


@pytest.mark.parametrize(
    ("typed", "canonical", "area"),
    [
        ("none", "none", None),
        (" Picture ", "picture", None),
        ("left", "left 50%", Area(0, 0, 0.5, 1)),
        ("RIGHT 25 %", "right 25%", Area(0.75, 0, 1, 1)),
        ("top 12.5%", "top 12.5%", Area(0, 0, 1, 0.125)),
        ("bottom 12,5%", "bottom 12.5%", Area(0, 0.875, 1, 1)),
        ("10% 20% 60% 80%", "box 10% 20% 60% 80%", Area(0.1, 0.2, 0.6, 0.8)),
        ("box 0%, 0%, 50%, 50%", "box 0% 0% 50% 50%", Area(0, 0, 0.5, 0.5)),
        ("“the  sky”", "the sky", None),
        ("left hand", "left hand", None),
        ("topping", "topping", None),
    ],
)
def test_a_region_has_one_form(typed: str, canonical: str, area: Area | None) -> None:
    assert canonical_region(typed, "keep") == canonical == canonical_region(canonical, "keep")
    assert area_of(canonical) == area


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "left 0%",
        "left 100%",
        "left -5%",
        "box",
        "box 60% 0% 10% 50%",
        "50%",
        "120% 0% 1% 2%",
        "box 0% 0% 100% 100%",
    ],
)
def test_a_region_that_is_none_is_refused_with_its_setting(typed: str) -> None:
    with pytest.raises(InvalidRequest, match=r"^keep "):
        Settings().merged({"keep": typed})


def test_margins_name_each_side_once() -> None:
    assert canonical_margins("bottom 25%, Left 50%,left 10%", "outpaint") == "left 10%, bottom 25%"
    assert canonical_margins("all 20%", "outpaint") == "left 20%, right 20%, top 20%, bottom 20%"
    margins = margins_of("left 50%, bottom 25%")
    assert (margins.across, margins.down) == (1.5, 1.25)
    assert margins.kept == pytest.approx((1 / 3, 0, 1, 0.8))
    assert margins_of("none").kept == Area(0, 0, 1, 1)


@pytest.mark.parametrize("typed", ["", "50%", "the sky", "left 0%", "left 101%", "left 10%; top 5%"])
def test_margins_that_are_none_are_refused(typed: str) -> None:
    with pytest.raises(InvalidRequest, match=r"^outpaint "):
        Settings().merged({"outpaint": typed})


def test_only_one_of_keep_repaint_and_outpaint_is_taken() -> None:
    with pytest.raises(InvalidRequest, match=r"^keep and outpaint cannot be combined; choose one of them.$"):
        Settings().merged({"keep": "left 50%", "outpaint": "left 50%"})
