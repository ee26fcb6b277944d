"""Model sets in a worker's memory: as many as fit, the least recently used one goes first. Worker thread.

`get`, `names` and the figures are for any thread.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping

from bot.log import about
from generator import Models, OutOfMemory, Settings, fits_whole, release_unused

_log = logging.getLogger(__name__)
_USABLE = 0.9
"""Share of the free memory that a new set is expected to find."""


class ResidentSets:
    """The model sets of one device. `load(name)` reads a set into memory; bytes and times are measured."""

    def __init__(self, load: Callable[[str], Models]) -> None:
        self._load = load
        self._sets: OrderedDict[str, Models] = OrderedDict()
        self._lock = threading.Lock()
        self._bytes: dict[str, int] = {}
        self._load_s: dict[str, float] = {}
        self._most: int | None = None

    def get(self, name: str) -> Models | None:
        """A set if it is in memory. Any thread."""
        with self._lock:
            return self._sets.get(name)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the sets in memory, the most recently used last. Any thread."""
        with self._lock:
            return tuple(self._sets)

    @property
    def load_s(self) -> Mapping[str, float]:
        """Seconds that loading took, by set. Any thread."""
        with self._lock:
            return dict(self._load_s)

    @property
    def room(self) -> int | None:
        """Number of sets that fit together at most; None as long as all did. Any thread."""
        return self._most

    def put(self, models: Models, load_s: float | None = None) -> None:
        """Keep a set that was loaded."""
        with self._lock:
            self._sets[models.name] = models
            self._bytes[models.name] = models.weight_bytes
            if load_s is not None:
                self._load_s[models.name] = load_s

    def use(self, name: str) -> Models:
        """Return a set, loaded if need be; others go if there is not enough memory for it.

        Raises:
            GeneratorError: if it cannot be loaded.
        """
        models = self.get(name)
        if models is None:
            self._make_room_for(name)
            models = self._loaded(name)
        with self._lock:
            self._sets.move_to_end(name)
        return models

    def make_room_for(self, settings: Settings, models: Models) -> None:
        """Let other sets go until a picture needs no reduction for want of memory."""
        while len(self.names) > 1 and not fits_whole(settings, models):
            self._evict(len(self.names) - 1)

    def clear(self) -> None:
        """Forget all sets, because their device failed."""
        with self._lock:
            self._sets.clear()

    def _make_room_for(self, name: str) -> None:
        """Let sets go until the free memory holds a new one, by its measured bytes, or those of the largest one."""
        while self._sets:
            free = next(iter(self._sets.values())).budget.free_bytes()
            wanted = self._bytes.get(name, max(self._bytes.values(), default=0))
            if free is None or free * _USABLE >= wanted:
                return
            self._evict(len(self.names))

    def _loaded(self, name: str) -> Models:
        while True:
            began = time.monotonic()
            try:
                models = self._load(name)
            except OutOfMemory:
                if not self._sets:
                    raise
            else:
                self.put(models, time.monotonic() - began)
                facts = about(models=name, device=str(models.device), seconds=round(self._load_s[name], 2))
                _log.info("models loaded", extra=facts)
                return models
            self._evict(len(self.names))  # Only now: the error referred to what was loaded so far.

    def _evict(self, fitting: int) -> None:
        """Let the least recently used set go; `fitting` is the number of sets that were seen to fit together."""
        with self._lock:
            self._most = max(1, fitting)
            name, models = self._sets.popitem(last=False)
        device = models.device
        del models
        release_unused(device)
        _log.info("models unloaded", extra=about(models=name, device=str(device)))
