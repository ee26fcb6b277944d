"""Defaults, the server's values, the best of the roles, the host's caps."""

from __future__ import annotations

import pytest

from bot.config import Caps, Limits
from bot.errors import InvalidJobSpec, OverLimit
from bot.service.limits import check, effective

CAPS = Caps(steps=1000, daily=50)


def test_the_server_goes_before_the_host_and_roles_before_the_server() -> None:
    limits = effective(Limits(), {"steps": 100, "count": 2}, [{"steps": 200}, {"steps": 50}], CAPS)
    assert (limits.steps, limits.count, limits.size_px) == (200, 2, Limits().size_px)


def test_a_role_can_have_less_than_the_server() -> None:
    assert effective(Limits(), {"steps": 100}, [{"steps": 50}], CAPS).steps == 50


def test_of_several_roles_the_best_holds_whatever_best_means() -> None:
    roles = [{"cooldown_s": 60, "daily": 10, "priority": 1}, {"cooldown_s": 5, "daily": 0, "priority": 3}]
    limits = effective(Limits(), {}, roles, Caps())
    assert (limits.cooldown_s, limits.daily, limits.priority) == (5, 0, 3)


def test_a_cap_that_was_lowered_later_still_holds() -> None:
    assert effective(Limits(), {"steps": 4000, "daily": 0}, [], CAPS).steps == 1000
    assert effective(Limits(), {"daily": 0}, [], CAPS).daily == 50


@pytest.mark.parametrize(("name", "value"), [("steps", 1000), ("daily", 50), ("cooldown_s", 86_400), ("priority", 9)])
def test_an_admin_may_go_up_to_the_cap(name: str, value: int) -> None:
    check(name, value, CAPS)


def test_a_value_that_cannot_be_is_answered_with_what_the_host_allows() -> None:
    with pytest.raises(InvalidJobSpec, match="from 1 to 1000"):
        check("steps", 0, CAPS)


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("steps", 1001, OverLimit),
        ("daily", 0, OverLimit),
        ("steps", 0, InvalidJobSpec),
        ("steps", 10**9, InvalidJobSpec),
        ("priority", 10, InvalidJobSpec),
        ("colour", 1, InvalidJobSpec),
        ("__class__", 1, InvalidJobSpec),
    ],
)
def test_beyond_it_there_is_a_sentence(name: str, value: int, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        check(name, value, CAPS)
