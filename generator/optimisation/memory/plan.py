"""The memory plan of one dream: the cutout group and picture size that fit into memory.

First fewer cutouts are evaluated at a time, which changes the picture only by rounding, then the picture becomes
smaller. The requester is told about each reduction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Self

from generator.errors import OutOfMemory
from generator.messages import Message
from generator.models.model_set import Models
from generator.optimisation.graph import GraphCache, graphs_of
from generator.optimisation.memory.footprint import memory_model_of
from generator.optimisation.memory.model import MemoryModel, even_group, plan, smaller
from generator.optimisation.schedule import Schedule
from generator.request import GenerationRequest
from generator.runtime.device import device_context, release_unused
from generator.settings import Settings, Size


def fits_whole(settings: Settings, models: Models) -> bool:
    """True if a picture fits into the memory that is free now, without any reduction. Worker thread."""
    with device_context(models.device, exact=False):
        return not MemoryPlan.planned(settings, models, graphs_of(models)).remarks


class MemoryPlan:
    """Reductions made for one dream so that it fits into memory.

    Attributes:
        size: size of the picture after reduction.
        group: number of cutouts evaluated at a time.
        widened: True if half precision was not enough for these models.
        moved: True if it began on another kind of device, see `generator.optimisation.moving`.
    """

    def __init__(self, schedule: Schedule, group: int | None = None) -> None:
        """Start without reductions, or with a fixed group."""
        self._cutouts = schedule.settings.cutouts
        self._unit_px = schedule.factor * (2 if schedule.coarse_steps else 1)
        self._asked = self.size = schedule.size
        self.group = self._cutouts if group is None else max(1, min(group, self._cutouts))
        self._narrowed = self.widened = self.moved = False

    @classmethod
    def planned(cls, settings: Settings, models: Models, graphs: GraphCache, group: int | None = None) -> Self:
        """Plan from the free memory, if known; `graphs` are dropped if the picture fits only without them."""
        memory_plan = cls(Schedule(settings, models.drawer(settings).factor, 1), group)
        free_bytes = models.budget.free_bytes()
        if free_bytes is None:
            return memory_plan
        footprint, held_bytes = memory_model_of(models), graphs.held_bytes
        if held_bytes and memory_plan._needs_more_than(footprint, free_bytes - held_bytes):
            graphs.clear()
            release_unused(models.device)
            free_bytes, held_bytes = models.budget.free_bytes() or free_bytes, 0
        memory_plan.plan(footprint, free_bytes - held_bytes)
        return memory_plan

    def _needs_more_than(self, footprint: MemoryModel, free_bytes: int) -> bool:
        return plan(footprint, free_bytes, self.size, self._cutouts, self._unit_px) != (self.size, self._cutouts)

    @property
    def remarks(self) -> tuple[str, ...]:
        """Messages to the requester about the reductions."""
        remarks: list[str] = []
        if self.size != self._asked:
            text = "There is not enough memory for {asked}; the picture is painted at {size}."
            remarks.append(Message(text, asked=str(self._asked), size=str(self.size)))
        if self._narrowed:
            remarks.append(Message("Memory ran short, so the crops were judged in groups; it only took longer."))
        if self.widened:
            remarks.append(Message("Half precision was not enough for these models; it was painted in full precision."))
        if self.moved:
            text = "The device that began this picture failed, and another one finished it; its recipe paints another."
            remarks.append(Message(text))
        return tuple(remarks)

    def plan(self, footprint: MemoryModel, free_bytes: int) -> None:
        """Reduce group and size to fit into this much free memory."""
        self.size, group = plan(footprint, free_bytes, self.size, self._cutouts, self._unit_px)
        if group < self.group:
            self.group, self._narrowed = group, True

    def claim(self, models: Models, group: int) -> None:
        """Check, before a step begins, that its memory is available for this many cutouts at a time.

        Libraries below torch crash if an allocation fails in the middle of a step.

        Raises:
            RuntimeError: torch's own error, if memory is not available.
        """
        claim = models.budget.claim
        if claim is not None:
            claim(int(memory_model_of(models).step_bytes(self.size, group)))

    def narrow(self) -> bool:
        """Halve the cutouts evaluated at a time; False if it is one already."""
        if self.group == 1:
            return False
        self.group, self._narrowed = even_group(self._cutouts, self.group // 2), True
        return True

    def shrink(self) -> None:
        """Take the next smaller size.

        Raises:
            OutOfMemory: if there is none.
        """
        less = smaller(self.size, self._unit_px)
        if less is None:
            text = "There is too little memory even for a small picture; end other programs that use it."
            raise OutOfMemory(Message(text))
        self.size = less

    def fitted(self, request: GenerationRequest) -> GenerationRequest:
        """The request, with the reduced size if there is one."""
        if self.size == self._asked:
            return request
        return replace(request, settings=replace(request.settings, size=self.size))

    def state(self) -> dict[str, Any]:
        """Return the state that `restore` takes, as JSON can hold it."""
        state = {"group": self.group, "asked": str(self._asked), "narrowed": self._narrowed, "widened": self.widened}
        return state | ({"moved": True} if self.moved else {})

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore a state returned by `state`; the size itself is the request's.

        Raises:
            KeyError: if a part is missing.
            TypeError: if one is of another type.
            InvalidRequest: if one is not a size.
        """
        group, narrowed, widened = state["group"], state["narrowed"], state["widened"]
        if type(group) is not int or not isinstance(narrowed, bool) or not isinstance(widened, bool):
            raise TypeError("it does not say what was given up")
        self.group, self._narrowed, self.widened = max(1, min(group, self._cutouts)), narrowed, widened
        self.moved = state.get("moved", False) is True
        self._asked = Size.parse(str(state["asked"]))
