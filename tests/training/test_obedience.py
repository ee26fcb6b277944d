"""The data of the judges of style, number and relation show what they are labelled with."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.gpu.training import drawings
from training.data import disturbed
from training.obedience.arrangements import MOST, RELATIONS, WISHES, ArrangementJudge, Arranger, _related, _rows
from training.obedience.evaluate import judge_counts, judge_relations, judge_styles
from training.obedience.styles import STYLES, StyledPictures, StyleJudge


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("obedience")
    drawings(folder)
    return folder


def test_two_things_stand_as_their_relation_says(work: Path) -> None:
    rng = Arranger(work, 1).rng
    for relation in RELATIONS * 25:
        first, second = _related(relation, rng)
        above, aside = second.y - first.y, abs(second.x - first.x)
        if relation in ("on", "under"):
            assert (above if relation == "on" else -above) > 0.05 and aside < 0.2
            assert relation == "on" or first.y + first.side / 2 >= second.y + second.side / 2
        elif relation == "beside":
            assert aside > 0.4 > 4 * abs(above) - 0.5
        else:
            assert max(abs(above), aside) + first.side / 2 < second.side / 2


def test_as_many_things_as_counted_stand_apart(work: Path) -> None:
    rng = Arranger(work, 2).rng
    for count in list(range(1, MOST + 1)) * 20:
        places = _rows(count, rng)
        assert len(places) == count
        for number, one in enumerate(places):
            assert one.side / 2 - 0.04 < one.x < 1.04 - one.side / 2
            for other in places[:number]:
                assert max(abs(one.x - other.x), abs(one.y - other.y)) > 0.9 * one.side


def test_a_disturbed_picture_still_shows_the_same() -> None:
    torch.manual_seed(1)
    pictures = torch.full((20, 3, 32, 32), 0.9)
    pictures[:, :, 8:24, 8:24] = torch.tensor([0.8, 0.1, 0.1])[:, None, None]
    others = disturbed(pictures)
    assert others.shape == pictures.shape and others.min() >= 0 and others.max() <= 1
    changes = (others - pictures).abs().mean(dim=(1, 2, 3))
    assert 0.001 < changes.min() < 0.5 * changes.max() < 0.06
    red, green, _ = others[:, :, 10:22, 10:22].mean(dim=(2, 3)).unbind(1)
    assert (red > green + 0.4).all()


def test_a_picture_of_a_style_has_its_look(work: Path) -> None:
    made = StyledPictures(work, 3)
    assert made.styles == ["none", "watercolour", "pixels"]  # the drawings are of two styles
    pixels = made.picture("pixels").numpy()
    assert (np.diff(pixels, axis=2) == 0).all(axis=0).mean() > 0.7
    assert (np.diff(made.picture("watercolour").numpy(), axis=2) == 0).all(axis=0).mean() < 0.3


def test_verdicts_count_what_was_asked_for_and_false_claims(work: Path) -> None:
    torch.manual_seed(4)
    arranger = Arranger(work, 4)
    judge = ArrangementJudge(arranger.named).eval()
    with torch.no_grad():
        judge.count.weight.zero_()
        judge.count.bias.copy_(torch.tensor([0.0, 9.0, 0.0, 0.0, 0.0]))  # sees two everywhere
        judge.compare[2].weight.zero_()
        judge.compare[2].bias.copy_(torch.tensor([9.0, 0.0, 0.0, 0.0]))  # and one on the other
    first, second = arranger.named[:2]
    two = arranger.group(first, 2).picture
    verdicts = judge_counts(judge, arranger, [(two, first, 2), (two, first, 3)])
    assert verdicts.painted == [True, False]
    assert (sum(verdicts.real), sum(verdicts.false)) == (8, 8)
    assert "VOID" in verdicts.line("number")
    pair = arranger.pair(first, second, "on").picture
    related = judge_relations(judge, arranger, [(pair, first, second, "on"), (pair, second, first, "under")])
    assert related.painted == [True, False]
    assert (sum(related.real), sum(related.false)) == (10, 10)
    style = StyleJudge().eval()
    with torch.no_grad():
        style.style.weight.zero_()
        style.style.bias.copy_(torch.eye(len(STYLES))[STYLES.index("pixels")])
    seen = judge_styles(style, StyledPictures(work, 5), [(two, "pixels"), (two, "line")])
    assert seen.painted == [True, False]
    assert sum(seen.real) == 5


def test_every_wish_can_be_judged() -> None:
    wishes = json.loads(WISHES.read_text("utf-8"))
    assert {style for _, style in wishes["styles"]} == set(STYLES)
    assert {count for _, _, count in wishes["counts"]} == set(range(1, MOST + 1))
    assert {relation for *_, relation in wishes["relations"]} == set(RELATIONS)
