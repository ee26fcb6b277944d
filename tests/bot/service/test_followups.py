"""Follow-up requests based on a finished picture."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.config import Limits
from bot.errors import InvalidJobSpec, OverLimit, Refused
from bot.jobs import Job, Origin
from bot.service.followups import child_of, count_of, parent_of
from bot.service.values import FollowUp
from generator import GenerationRequest, Settings, Size

BASE = Settings(size="128x128", steps=20)
PICTURE = GenerationRequest(
    prompt="a castle:2 | fog:-0.5",
    settings=BASE.merged({"seed": 7, "steps": 40, "coarse": 0.5, "init_weight": 0.2}),
    models="tiny",
    stopped_at=9,
)


def job(**values: object) -> Job:
    given = {"id": 5, "guild_id": 1, "channel_id": 2, "user_id": 3, "prompt": PICTURE.prompt, "models": "tiny"}
    return Job(**{**given, "settings": PICTURE.settings, "created_at": 0.0, **values})


def child(change: FollowUp, limits: Limits | None = None) -> GenerationRequest:
    return child_of(PICTURE, change, BASE, limits or Limits())


def test_again_is_the_same_with_another_seed_and_all_of_its_steps() -> None:
    made, before = child(FollowUp(kind=Origin.AGAIN)), job(count=4)
    assert made.settings == PICTURE.settings.merged({"seed": made.settings.seed})
    others = {child(FollowUp(kind=Origin.AGAIN)).settings.seed % 4 for _ in range(50)}
    assert others == {0, 1, 2}, "the picture has the drawing and the direction of 7 % 4"
    assert made.stopped_at is None
    assert parent_of(before, 2, Origin.AGAIN) == (None, None)
    assert count_of(before, FollowUp(kind=Origin.AGAIN)) == 4


def test_again_of_a_child_goes_on_from_the_same_latent() -> None:
    before = job(parent_id=3, parent_number=2, count=4)
    assert parent_of(before, 1, Origin.AGAIN) == (3, 2)
    assert parent_of(replace(before, parent_id=None), 1, Origin.AGAIN) == (None, None)
    assert count_of(before, FollowUp(kind=Origin.AGAIN, count=1)) == 1


@pytest.mark.parametrize("kind", [Origin.VARY, Origin.CONTINUE, Origin.REMIX, Origin.UPSCALE])
def test_other_follow_ups_start_from_the_finished_picture(kind: Origin) -> None:
    made = child(FollowUp(kind=kind, prompt="a sea"))
    assert parent_of(job(), 2, kind) == (5, 2)
    assert count_of(job(count=4), FollowUp(kind=kind)) == 1
    assert made.parent == PICTURE
    settings = made.settings
    assert (settings.start, settings.coarse, settings.init_weight) == ("parent", 0.0, 0.0)
    assert made.stopped_at is None


def test_each_changes_what_it_is_named_after() -> None:
    assert child(FollowUp(kind=Origin.VARY, strength=0.7)).settings.variation == 0.7
    assert child(FollowUp(kind=Origin.VARY)).settings.steps == 40
    assert child(FollowUp(kind=Origin.CONTINUE, steps=11)).settings.steps == 11
    assert child(FollowUp(kind=Origin.CONTINUE)).settings.steps == 20
    assert child(FollowUp(kind=Origin.REMIX, prompt=" a sea ")).prompt == "a sea"
    assert child(FollowUp(kind=Origin.UPSCALE)).settings.size == Size(256, 256)


@pytest.mark.parametrize("kind", [Origin.VARY, Origin.CONTINUE, Origin.REMIX, Origin.UPSCALE])
def test_children_of_posed_pictures_are_painted_by_todays_settings(kind: Origin) -> None:
    today = BASE.merged(
        {"composition": "posed", "steps": 2, "learning_rate": 0.01, "init_weight": 0.2, "candidates": 1}
    )
    settings = child_of(PICTURE, FollowUp(kind=kind, prompt="a sea"), today, Limits()).settings
    assert (settings.composition, settings.learning_rate, settings.init_weight) == ("posed", 0.01, 0.2)
    assert settings.steps == (1 if kind is Origin.UPSCALE else 2)
    assert settings.coarse == 0.0


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (FollowUp(kind=Origin.REMIX), InvalidJobSpec),
        (FollowUp(kind=Origin.REMIX, prompt="  "), InvalidJobSpec),
        (FollowUp(kind=Origin.VARY, strength=0), InvalidJobSpec),
        (FollowUp(kind=Origin.VARY, strength=2), InvalidJobSpec),
        (FollowUp(kind=Origin.CONTINUE, steps=601), OverLimit),
        (FollowUp(kind=Origin.CONTINUE, steps=-4), InvalidJobSpec),
    ],
)
def test_impossible_values_get_a_message(change: FollowUp, kind: type[Refused]) -> None:
    with pytest.raises(kind):
        child(change)


def test_twice_as_large_as_the_server_allows_is_refused() -> None:
    with pytest.raises(OverLimit, match="256x256"):
        child(FollowUp(kind=Origin.UPSCALE), limits=Limits(size_px=200))


def test_an_ancestry_ends_somewhere() -> None:
    picture = PICTURE
    with pytest.raises(InvalidJobSpec, match="goes back"):
        for _ in range(40):
            picture = child_of(picture, FollowUp(kind=Origin.CONTINUE), BASE, Limits())
