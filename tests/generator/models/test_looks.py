"""Filters of composed pictures."""

from __future__ import annotations

import torch

from generator.models.looks import lit


def test_windows_of_a_city_are_lit_at_night_and_its_sky_is_not() -> None:
    day = torch.full((1, 3, 72, 72), 0.35)
    day[:, :, :30] = 0.8
    day[:, :, 50:53, 40:43] = 0.6
    window, sky = (..., slice(50, 53), slice(40, 43)), (..., slice(4, 26), slice(4, 68))
    dark, night = lit(day, "night", None), lit(day, "night", None, windows=True)
    assert (night[window][:, 0] > 0.7).all() and (dark[window] < 0.4).all()
    assert torch.equal(night[sky], dark[sky]) and (night[sky] < 0.5).all()
    assert torch.equal(lit(day, "sunset", None, windows=True), lit(day, "sunset", None))
    assert torch.equal(lit(day, "", None, windows=True), day)
