"""The workers of a Ray cluster: one for each GPU of each of its machines, which come and go. Event loop.

What blocks runs on threads. Machines offer painters as GPUs, or as the resource `painter` if they have none.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

import generator
from bot.config import LOCAL, Painters
from bot.errors import ClusterError
from bot.log import about
from bot.texts import Sentence
from bot.waiting import FOR_A_TIME, ExternalWait, identity
from bot.worker.cluster.actor import GROUPS, Painter, Ready
from bot.worker.cluster.environment import check_address
from bot.worker.cluster.worker import RayWorker, kill
from bot.worker.pool import WorkerPool
from bot.worker.protocol import Engine
from generator import __version__

RESOURCE = "painter"
"""Ray's name for a painter of a machine without GPUs, as in `ray start --resources '{"painter": 1}'`."""
LOOK_S = 3.0
"""Time between two looks at the machines of the cluster."""
REST_S = 30.0
"""Time before a painter that was found unfit is tried again."""
READY_S = 900.0
"""Maximum time in which a worker loads its first models."""
STORE_BYTES = 2**29
"""Memory for values on their way, of a cluster that the bot starts itself."""
_TOKEN_TROUBLE = re.compile(r"Authentication token[^.\n]*")
"""Ray's sentence within the traceback that its error quotes."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Place:
    """A place for a worker in the cluster."""

    name: str
    node_id: str
    gpu: bool


class RayCluster(WorkerPool):
    """Connects to a cluster, or starts one on this machine, and keeps a worker in each of its places."""

    def __init__(
        self,
        painters: Painters,
        make_engine: Callable[[bool, int], Engine],
        *,
        gpus: int = 0,
        preview_s: float = 1.5,
        snapshot_s: float = 5.0,
        stall_s: float = 900.0,
        external_wait: ExternalWait = identity,
    ) -> None:
        """`make_engine(gpu, threads)` is called in each worker's process; `gpus` are those of this machine."""
        super().__init__(external_wait=external_wait)
        self._painters, self._make_engine, self._gpus = painters, make_engine, gpus
        self._times = preview_s, snapshot_s
        self._open_worker = functools.partial(
            RayWorker, stall_s=stall_s, silence_s=painters.silence_s, external_wait=external_wait
        )
        self._places: dict[str, Place] = {}
        self._opening: dict[str, asyncio.Task[None]] = {}
        self._watching: dict[str, asyncio.Task[None]] = {}
        self._rests: dict[str, float] = {}
        self._faults: dict[str, Sentence] = {}
        self._look = asyncio.Event()
        self._loop_task: asyncio.Task[None] | None = None

    def faults(self) -> Sequence[Sentence]:
        """Sentences for the host about the cluster and painters that cannot be used, if any."""
        return list(self._faults.values())

    async def start(self) -> None:
        """Connect in the background: until there are workers, jobs wait."""
        self._loop_task = asyncio.create_task(self._keep(), name="cluster")

    async def close(self) -> None:
        """End all workers after their current step, and leave the cluster."""
        tasks = [task for task in (self._loop_task, *self._opening.values(), *self._watching.values()) if task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await super().close()
        await asyncio.to_thread(ray.shutdown)

    async def _keep(self) -> None:
        while True:
            try:
                if not ray.is_initialized():
                    await asyncio.to_thread(self._connect)
                self._settle(await asyncio.to_thread(_places))
                self._faults.pop("", None)
            except ClusterError as exc:
                self._note("", exc.sentence)
            except Exception as exc:  # Ray has many; the next look may succeed.
                self._note("", Sentence.of("cluster_lost", why=_first_line(exc)))
            self._look.clear()
            with suppress(TimeoutError):
                await self._external_wait(asyncio.wait_for(self._look.wait(), LOOK_S), FOR_A_TIME)

    def _connect(self) -> None:
        """Start a cluster on this machine, or join the one at the address. Blocking.

        Raises:
            ClusterError: with a sentence about what to do.
        """
        address = self._painters.address
        options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR, "configure_logging": False}
        if address == LOCAL:
            count = self._painters.count or self._gpus or 1
            own = {"num_gpus": count} if self._gpus else {"num_gpus": 0, "resources": {RESOURCE: count}}
            options |= {"include_dashboard": False, "object_store_memory": STORE_BYTES, **own}
        check_address(address)
        try:
            ray.init(address=address, **options)
        except (RayError, ConnectionError, ValueError, RuntimeError, OSError, TimeoutError) as exc:
            with suppress(Exception):
                ray.shutdown()
            raise _fault_of(exc, address) from exc
        _log.info("cluster joined", extra=about(address=address))

    def _settle(self, places: Mapping[str, Place]) -> None:
        """Open workers in new places; those of places that are gone end by Ray's own errors."""
        self._places = dict(places)
        for name, place in places.items():
            taken = name in self._opening or name in self._watching
            if not taken and time.monotonic() >= self._rests.get(name, 0.0):
                self._opening[name] = asyncio.create_task(self._open(place), name=f"open {name}")
        for name in [name for name in self._faults if name and name not in places]:
            del self._faults[name]

    async def _open(self, place: Place) -> None:
        actor = None
        try:
            actor = await asyncio.to_thread(self._make_actor, place)
            async with asyncio.timeout(READY_S):
                ready: Ready = await asyncio.wrap_future(actor.ready.remote().future())
            if ready.reverie != __version__:
                raise ClusterError("painter_other_version", name=place.name, theirs=ready.reverie, ours=__version__)
            if ready.fault:
                raise ClusterError("painter_unfit", name=place.name, why=ready.fault)
            worker = self._open_worker(place.name, actor, ready, self._lose)
            self._watching[place.name] = asyncio.create_task(worker.watch(), name=f"watch {place.name}")
            self._faults.pop(place.name, None)
            self.add(worker)
        except Exception as exc:  # Of Ray, or of whatever is wrong with that machine: it is tried again later.
            sentence = Sentence.of("painter_unfit", name=place.name, why=_first_line(exc))
            self._note(place.name, exc.sentence if isinstance(exc, ClusterError) else sentence)
            self._rests[place.name] = time.monotonic() + REST_S
            if actor is not None:
                kill(actor)
        finally:
            self._opening.pop(place.name, None)

    def _make_actor(self, place: Place) -> Any:  # noqa: ANN401 - a handle of Ray
        own = {"num_gpus": 1} if place.gpu else {"resources": {RESOURCE: 1}}
        remote = ray.remote(concurrency_groups=GROUPS)  # type: ignore[call-overload]  # its types lack this option
        made = remote(Painter).options(
            num_cpus=0,
            max_restarts=0,
            max_task_retries=0,
            scheduling_strategy=NodeAffinitySchedulingStrategy(place.node_id, soft=False),
            **own,
        )
        make_engine = functools.partial(self._make_engine, place.gpu, generator.thread_count())
        return made.remote(make_engine, *self._times, place.gpu)

    def _lose(self, worker: RayWorker) -> None:
        """Forget a worker that was given up; its place gets another one at the next look."""
        self._watching.pop(worker.name, None)
        self.remove(worker.name)
        self._look.set()

    def _note(self, place: str, sentence: Sentence) -> None:
        if self._faults.get(place) != sentence:
            self._faults[place] = sentence
            _log.error(sentence.said())


def _places() -> dict[str, Place]:
    """The places for workers on all machines that are there. Blocking."""
    found: dict[str, Place] = {}
    for node in ray.nodes():  # type: ignore[no-untyped-call]
        resources = node["Resources"]
        gpu = RESOURCE not in resources
        for number in range(int(resources.get("GPU" if gpu else RESOURCE, 0)) if node["Alive"] else 0):
            name = f"{node['NodeManagerHostname']}-{node['NodeID'][:4]}-{number}"
            found[name] = Place(name, node["NodeID"], gpu)
    return found


def _fault_of(exc: BaseException, address: str) -> ClusterError:
    """The sentence for an error of Ray's, which tells the reason in the error that it was raised from."""
    causes = [exc]
    while (cause := causes[-1].__cause__) is not None:
        causes.append(cause)
    for cause in causes:
        text = str(cause)
        if "ersion mismatch" in text:
            return ClusterError("cluster_other_version", why=" ".join(text.split())[:300])
        if "uthenticat" in text or "token" in text.lower():
            said = _TOKEN_TROUBLE.search(text)
            return ClusterError("cluster_not_ours", address=address, why=said[0] if said else _first_line(cause))
    return ClusterError("cluster_unreachable", address=address, why=_first_line(exc))


def _first_line(exc: BaseException) -> str:
    return (str(exc).strip().splitlines() or [type(exc).__name__])[0][:200]
