"""Numbers that change during a dream: each step takes its own, resumed or not, captured or not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from generator.models.model_set import Models
from generator.optimisation.dream import Dream
from generator.optimisation.graph import GraphCache
from generator.request import GenerationRequest
from tests.generator.recording import Repeating

Make = Callable[..., GenerationRequest]
Run = Callable[..., Dream]

CHANGING: dict[str, dict[str, object]] = {
    "learning_rate": {"learning_rate": "0: 0.3, 100%: 0.05"},
    "cutouts": {"cutouts": "0: 2, 100%: 6"},
    "flatness": {"flatness": "0: 0, 50%: 5"},
    "prompt": {"prompt": "a red apple:{0: 1, 100%: 0.1} | fog:-0.5"},
}


def pixels(dream: Dream) -> np.ndarray:
    return np.asarray(dream.picture().image)


@pytest.mark.parametrize("name", CHANGING)
def test_a_number_that_changes_changes_the_picture_and_resumes_to_the_byte(
    name: str, models: Models, make_request: Make, dreamt: Run
) -> None:
    request = make_request(**CHANGING[name])
    whole = pixels(dreamt(Dream(request, models)))
    plain = make_request(
        **{"prompt": "a red apple | fog:-0.5"} if name == "prompt" else {name: getattr(request.settings, name)}
    )
    assert (whole != pixels(dreamt(Dream(plain, models)))).any()
    half = dreamt(Dream(request, models), 3)
    assert (pixels(dreamt(Dream.resume(half.snapshot(), models))) == whole).all()
    captured = dreamt(Dream(request, models, graphs=GraphCache(Repeating())))
    assert (pixels(captured) == whole).all()


def test_a_schedule_that_does_not_change_paints_what_its_number_paints(
    models: Models, make_request: Make, dreamt: Run
) -> None:
    still = make_request(prompt="a red apple:{0: 2} | fog:-0.5", learning_rate="0: 0.2", flatness="0: 1, 50%: 1")
    plain = make_request(prompt="a red apple:2 | fog:-0.5", learning_rate=0.2, flatness=1.0)
    assert (pixels(dreamt(Dream(still, models))) == pixels(dreamt(Dream(plain, models)))).all()
