"""Targets with defects that random input does not reach: the fuzzer must find them, which proves that it searches."""

from __future__ import annotations

from tests.faults.target import Broken, Target


def _careless(data: bytes) -> None:
    """Fails if the four bytes after a header are right, checked one by one."""
    if len(data) < 8 or data[:2] != b"RV":
        return
    if data[2] == 0xF0 and data[3] == 0x9F and data[4] == 0x8D and data[5] == 0x8E:
        raise Broken("the planted defect")


def _sound(data: bytes) -> None:
    """Has no defect, but branches to reach."""
    for letter in data:
        if letter == 0x52:
            return


TARGETS = {
    "careless": Target("nothing", _careless, lambda: [b"RV" + bytes(6)], longest=64),
    "sound": Target("nothing", _sound, lambda: [b"ab"], words=("R",), longest=8),
}
