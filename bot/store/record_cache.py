"""Records that were read last, in memory, so that a crowd does not read its servers again and again. Event loop."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

R = TypeVar("R")


class RecordCache(Generic[R]):
    """Records by the id of their owner. Only this process writes them, and then calls `changed`."""

    def __init__(self, read: Callable[[int], Awaitable[R]], most: int) -> None:
        """`most` is the number of records that are kept."""
        self._read, self._most = read, most
        self._cached: OrderedDict[int, R] = OrderedDict()
        self._changes = 0

    async def of(self, owner_id: int) -> R:
        """The record of an owner."""
        record, changes = self._cached.get(owner_id), self._changes
        if record is None:
            record = await self._read(owner_id)
            if changes != self._changes:
                return record  # A change was written meanwhile, which this may not hold yet: do not keep it.
            self._cached[owner_id] = record
        self._cached.move_to_end(owner_id)
        while len(self._cached) > self._most:
            self._cached.popitem(last=False)
        return record

    def changed(self, owner_id: int) -> None:
        """Read the record of this owner again when it is wanted next."""
        self._changes += 1
        self._cached.pop(owner_id, None)
