"""What holds for a person: the host's defaults, the server's own values, the best of the person's roles. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, replace

from bot.config import Caps, Limits, within_cap
from bot.errors import InvalidJobSpec, OverLimit

NAMES = tuple(item.name for item in fields(Limits))
_LOWER_IS_BETTER = frozenset({"cooldown_s"})
_ZERO_IS_ENDLESS = frozenset({"daily"})


def effective(defaults: Limits, guild: Mapping[str, int], roles: Iterable[Mapping[str, int]], caps: Caps) -> Limits:
    """The limits of a person; a role's value goes before the server's, of several roles the best one."""
    values = {name: value for name, value in guild.items() if name in NAMES}
    best: dict[str, int] = {}
    for role in roles:
        for name, value in role.items():
            if name in NAMES:
                best[name] = _better(name, best.get(name, value), value)
    values |= best
    for name, value in values.items():
        cap = getattr(caps, name, None)
        if cap is not None and not within_cap(name, value, cap):
            values[name] = cap  # The host lowered the cap after the server set its value.
    return replace(defaults, **values)


def check(name: str, value: int, caps: Caps) -> None:
    """See that an admin may set a limit to a value.

    Raises:
        InvalidWish: for an unknown name or a value that is out of range for everybody.
        OverLimit: above the host's cap.
    """
    item = {item.name: item for item in fields(Limits)}.get(name)
    if item is None:
        raise InvalidJobSpec("limit_unknown", field="name", name=name[:40], known=", ".join(NAMES))
    low, high = item.metadata["low"], item.metadata["high"]
    cap = getattr(caps, name, None)
    if not low <= value <= high:
        most = min(high, cap or high)  # 0 is without end
        raise InvalidJobSpec("out_of_range_whole", field=name, name=name, low=low, high=most)
    if cap is not None and not within_cap(name, value, cap):
        raise OverLimit("limit_over_cap", name=name, cap=cap)


def _better(name: str, one: int, other: int) -> int:
    if name in _ZERO_IS_ENDLESS and 0 in (one, other):
        return 0
    return min(one, other) if name in _LOWER_IS_BETTER else max(one, other)
