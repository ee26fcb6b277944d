"""Workers of a real Ray cluster: two machines that are processes here, which die, hang, leave and come."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio
import ray
import torch
from ray.cluster_utils import Cluster

from bot.config import Config, Painters, Timing
from bot.files import Kind
from bot.jobs import Event, JobState
from bot.worker.cluster.actor import Painter
from bot.worker.cluster.environment import TOKEN
from bot.worker.cluster.pool import RESOURCE, RayCluster
from bot.worker.kinds import engine_elsewhere
from bot.worker.protocol import (
    Engine,
    Executor,
    GeneratedPicture,
    Interrupted,
    ProgressUpdate,
    StopMode,
    Work,
    WorkerLost,
)
from bot.worker.thread import ThreadWorker
from generator import FilmPlan, GenerationRequest, OutOfMemory, Settings, request_from_json
from tests.bot.fake_dream import FakeDream, FakeDreamer
from tests.bot.real_service import RealService, until
from tests.bot.worker.troubled import FATAL_STEP, Troubled, fit, unfit

pytestmark = pytest.mark.waits

TIMING = Timing(preview_s=0.05, snapshot_s=0.05)


@pytest.fixture(scope="module")
def machines() -> Iterator[Cluster]:
    """A head without painters, and two machines with one each."""
    # Neither logs nor an autoscaler are watched here; each would be a further process.
    alone = {"include_log_monitor": False, "no_monitor": True}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "num_gpus": 0, **alone})
    for _ in range(2):
        cluster.add_node(num_cpus=1, num_gpus=0, resources={RESOURCE: 1})
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def pool_of(
    cluster: Cluster, make: Callable[[bool, int], Engine] = fit, silence_s: float = 30.0, **values: float
) -> RayCluster:
    painters = Painters(kind="ray", address=cluster.address, silence_s=silence_s)
    return RayCluster(painters, make, preview_s=0.05, snapshot_s=0.05, **{"stall_s": 60.0, **values})


async def workers(pool: Executor, count: int) -> None:
    async def there() -> bool | None:
        return True if pool.capacity == count else None

    await until(there)


@pytest_asyncio.fixture
async def pool(machines: Cluster) -> AsyncIterator[RayCluster]:
    pool = pool_of(machines)
    await pool.start()
    await workers(pool, 2)
    yield pool
    await pool.close()


def work(prompt: str = "a red apple", job_id: int = 1, steps: int = 30, **values: object) -> Work:
    settings = Settings(size="64x64", steps=steps, seed=3)
    return Work(**{"job_id": job_id, "request": GenerationRequest(prompt=prompt, settings=settings), **values})


def test_the_process_of_a_worker_computes_on_as_many_threads_as_the_bot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)  # as Ray limits the process
        Painter(partial(engine_elsewhere, Config(), False, 2), 1.0, 1.0, False).ready()
        with ThreadPoolExecutor(1) as painting:
            assert painting.submit(torch.get_num_threads).result() == min(2, os.cpu_count() or 1)
        assert os.environ["CUDA_VISIBLE_DEVICES"] == ""
    finally:
        torch.set_num_threads(before)


def ignore(update: ProgressUpdate) -> None:
    """Ignore all events."""


async def test_a_picture_is_the_same_as_that_of_a_thread_and_orders_and_errors_reach_both_ways(
    pool: RayCluster,
) -> None:
    updates: list[ProgressUpdate] = []
    here = ThreadWorker(Troubled())
    far, near = await asyncio.gather(pool.generate(work(), updates.append), here.generate(work(), ignore))
    assert isinstance(far, GeneratedPicture) and isinstance(near, GeneratedPicture)
    assert far.picture.image.tobytes() == near.picture.image.tobytes()
    assert replace(far.picture, image=near.picture.image, progress=near.picture.progress) == near.picture
    assert (far.snapshot, far.device) == (near.snapshot, "a fake")
    assert far.timelapse.encode("webp") == near.timelapse.encode("webp")
    steps = [update.progress.step for update in updates]
    assert steps == sorted(steps)
    assert any(update.preview is not None for update in updates) and any(update.snapshot for update in updates)
    with pytest.raises(OutOfMemory, match="It does not fit"):
        await pool.generate(work("swell"), ignore)

    def pause(update: ProgressUpdate) -> None:
        if update.progress.step:
            pool.send(1, StopMode.PAUSE)

    paused = await pool.generate(work(steps=2000), pause)
    assert isinstance(paused, Interrupted) and paused.snapshot is not None
    assert len(pool.workers()) == 2 and pool.deaths == 0
    await here.close()

    pool.drain(pool.workers()[0].name)
    for _ in range(2):  # The news of a picture are not held up by those of the one before.
        updates = []
        await pool.generate(work(), updates.append)
        assert any(0 < update.progress.step < 30 for update in updates)


async def test_a_worker_that_dies_or_hangs_is_replaced_and_a_film_goes_on_from_its_last_frame(
    machines: Cluster, tmp_path: Path
) -> None:
    pool, here = pool_of(machines), ThreadWorker(Troubled())
    await pool.start()
    await workers(pool, 2)
    film = replace(work(f"die {tmp_path / 'die'}").request, film=FilmPlan(seconds=2.0, fps=12))
    sent = Work(job_id=1, request=film, folder=tmp_path / "far")
    with pytest.raises(WorkerLost):
        await pool.generate(sent, ignore)
    kept = len(list((tmp_path / "far").iterdir()))
    assert 0 < kept <= FATAL_STEP
    updates = list[ProgressUpdate]()
    far = await pool.generate(sent, updates.append)
    near = await here.generate(replace(sent, folder=tmp_path / "near"), ignore)
    assert isinstance(far, GeneratedPicture) and isinstance(near, GeneratedPicture)
    assert min(update.progress.step for update in updates) > kept
    assert [path.read_bytes() for path in far.frames] == [path.read_bytes() for path in near.frames]
    assert all(path.parent == tmp_path / "far" for path in far.frames)
    await here.close()

    await workers(pool, 2)
    for slot in pool._slots.values():
        slot.worker._stall_s = 1.0  # of those workers only: one that is slow for a while is no second hang
    with pytest.raises(WorkerLost):
        await pool.generate(work(f"hang {tmp_path / 'hang'}"), ignore)
    assert pool.deaths == 2
    await workers(pool, 2)
    assert isinstance(await pool.generate(work(f"hang {tmp_path / 'hang'}"), ignore), GeneratedPicture)
    await pool.close()


class ClusterService(RealService):
    """The service with a cluster's workers."""

    cluster: Cluster

    def make_executor(self) -> Executor:
        return pool_of(self.cluster, silence_s=3.0)


async def test_a_job_continues_from_its_snapshot_after_its_machine_is_silent_or_gone_and_late_results_are_dropped(
    machines: Cluster, tmp_path: Path
) -> None:
    bench = ClusterService(tmp_path / "data", Config(timing=TIMING))
    bench.cluster = machines
    await bench.start()
    await workers(bench.executor, 2)
    ended, own = list[int](), bench.service.store.jobs.on_event

    def note(event: Event) -> None:
        own(event)
        if event.job.state is JobState.POSTING:
            ended.append(event.job.id)

    bench.service.store.jobs.on_event = note
    kept = bench.executor.workers()[0].name
    bench.executor.drain(kept)
    cut = await bench.imagine(f"tell {tmp_path / 'mark'}", steps=60)
    await saved(bench, cut.id)
    frozen = [int(number) for number in (tmp_path / "mark").read_text().split()]
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    bench.executor.resume(kept)

    async def moved() -> bool | None:
        return True if [worker.name for worker in bench.executor.workers() if worker.job_id] == [kept] else None

    await until(moved)
    (tmp_path / "mark.go").touch()
    for pid in frozen:
        os.kill(pid, signal.SIGCONT)
    await bench.reaches(cut.id, JobState.POSTING)

    await workers(bench.executor, 2)
    leaving = machines.add_node(num_cpus=1, num_gpus=0, resources={RESOURCE: 1})
    await workers(bench.executor, 3)
    for worker in bench.executor.workers()[:2]:
        bench.executor.drain(worker.name)
    left = await bench.imagine(f"tell {tmp_path / 'left'}", steps=60)
    await saved(bench, left.id)
    machines.remove_node(leaving, allow_graceful=False)
    (tmp_path / "left.go").touch()
    for worker in bench.executor.workers()[:2]:
        bench.executor.resume(worker.name)
    await bench.reaches(left.id, JobState.POSTING)
    assert ended == [cut.id, left.id]
    for job in (cut, left):
        undisturbed = FakeDream(request_from_json(await bench.service.store.jobs.recipe(job.id) or ""), FakeDreamer())
        while not undisturbed.finished:
            undisturbed.step()
        assert bench.files.read(Kind.LATENT, job.id, 1) == undisturbed.snapshot()
    await workers(bench.executor, 2)
    await bench.service.close()


async def saved(bench: RealService, job_id: int) -> None:
    """Wait for a snapshot."""

    async def there() -> bool | None:
        return True if bench.files.read(Kind.SNAPSHOT, job_id, 1) else None

    await until(there)


async def test_unfit_workers_and_clusters_that_are_not_there_are_sentences(machines: Cluster) -> None:
    pool = pool_of(machines, unfit)
    await pool.start()

    async def found() -> bool | None:
        # Ray may still count the machine of another test, which has a fault of its own.
        unfit_ones = [fault for fault in pool.faults() if "cannot be used: model.ckpt is missing." in fault.said()]
        return True if len(unfit_ones) == 2 else None

    await until(found)
    assert pool.capacity == 0
    await pool.close()
    gone = RayCluster(Painters(kind="ray", address="127.0.0.1:1"), fit)
    await gone.start()

    async def missed() -> bool | None:
        return True if gone.faults() else None

    await until(missed)
    assert gone.faults()[0].said().startswith("No Ray cluster answers at 127.0.0.1:1: ")
    await gone.close()


async def test_another_server_at_the_address_is_a_sentence() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"HTTP/1.0 505 HTTP Version Not Supported\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        address = "{}:{}".format(*server.sockets[0].getsockname())
        pool = RayCluster(Painters(kind="ray", address=address), fit)
        await pool.start()

        async def said() -> str | None:
            return next((fault.said() for fault in pool.faults()), None)

        assert (await until(said)).startswith(f"What answers at {address} is no Ray cluster.")
        await pool.close()


async def test_a_cluster_of_another_version_is_a_sentence(machines: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ray._private.utils.compute_version_info", lambda: ("2.1.0", "3.10.1"))
    pool = pool_of(machines)
    await pool.start()

    async def said() -> str | None:
        return next((fault.said() for fault in pool.faults()), None)

    assert "another version of Ray or Python" in await until(said) and "Ray: 2.1.0" in await until(said)
    await pool.close()


async def test_a_cluster_with_another_token_is_a_sentence(machines: Cluster) -> None:
    # Ray reads its token once in a process.
    environment = os.environ | {TOKEN: "f" * 64}
    command = [sys.executable, "-m", "tests.bot.worker.first_fault", machines.address]
    process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=asyncio.subprocess.PIPE)
    said = (await process.communicate())[0].decode()
    assert said.startswith(f"The Ray cluster at {machines.address} does not accept our token: Authentication token is ")
