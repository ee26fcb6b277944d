"""The metrics: counted during the jobs, served over a real socket, equal to /host status."""

from __future__ import annotations

import asyncio
import re
import socket
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import aiohttp
import pytest
import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families

from bot.config import Config
from bot.config import Metrics as MetricsConfig
from bot.errors import ConfigError
from bot.jobs import JobState
from bot.monitoring.endpoint import Endpoint
from bot.monitoring.metrics import ENDS, Metrics
from bot.texts import Sentence
from tests.bot.real_service import CHANNEL, RealService, requester

HOST = requester(hosts=True)
Samples = dict[tuple[str, str], float]
"""Return values by name and by the value of the label, empty without one."""


@dataclass
class Scraper:
    """Requests an endpoint as Prometheus does."""

    url: str

    async def answer(self, path: str = "/metrics") -> tuple[int, str, str]:
        """Status, content type and body."""
        async with aiohttp.ClientSession() as session, session.get(self.url + path) as found:
            return found.status, found.headers["Content-Type"], await found.text()

    async def __call__(self) -> Samples:
        status, kind, text = await self.answer()
        assert status == 200 and kind.startswith("text/plain; version=")
        return samples(text)


def samples(text: str) -> Samples:
    """Return a scrape without the buckets of histograms."""
    found = {}
    for family in text_string_to_metric_families(text):
        for name, labels, value, *_ in family.samples:
            if not name.endswith(("_bucket", "_created")):
                found[name, next(iter(labels.values()), "")] = value
    return found


@pytest.fixture
def port() -> Iterator[int]:
    """Find a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        found: int = probe.getsockname()[1]
    yield found


@pytest_asyncio.fixture
async def scrape(bench: RealService, port: int) -> AsyncIterator[Scraper]:
    service = bench.service
    async with Endpoint(MetricsConfig(port=port), service.host.exposition, service.metrics.note_lag):
        yield Scraper(f"http://127.0.0.1:{port}")


async def test_a_scrape_shows_how_jobs_stand_and_ended(bench: RealService, scrape: Scraper) -> None:
    service, engine = bench.service, bench.engine
    await bench.post((await bench.imagine()).id)
    engine.faults.append(ZeroDivisionError("no"))
    await bench.reaches((await bench.imagine()).id, JobState.FAILED)
    engine.faults.append(MemoryError())
    await bench.reaches((await bench.imagine()).id, JobState.FAILED)
    closed = await bench.imagine()
    await bench.reaches(closed.id, JobState.POSTING)
    await service.post.wait_for_access(closed.id, Sentence.of("channel_closed", channel="#x"))
    engine.open.clear()
    running, waiting, _ = await bench.imagine(), await bench.imagine(), await bench.imagine()
    await bench.reaches(running.id, JobState.RUNNING)
    await service.cancel(requester(), waiting.id)
    found = await scrape()
    assert {state: found["reverie_jobs", state] for state in ("queued", "running", "posting", "waiting")} == {
        "queued": 1, "running": 1, "posting": 0, "waiting": 1,
    }  # fmt: skip
    assert found["reverie_jobs_accepted_total", ""] == 7
    assert {end: found["reverie_jobs_ended_total", end] for end in ENDS} == {
        "done": 1, "failed": 2, "cancelled": 1, "deleted": 0,
    }  # fmt: skip
    failed = {label: value for (name, label), value in found.items() if name == "reverie_jobs_failed_total" and value}
    assert failed == {"unexpected": 1, "out_of_memory": 1}
    assert found["reverie_pictures_total", ""] == found["reverie_step_seconds_count", ""] == 2
    assert found["reverie_job_wait_seconds_count", ""] == 5
    assert found["reverie_job_post_seconds_count", ""] == 1


async def test_times_are_those_that_passed(bench: RealService, scrape: Scraper) -> None:
    bench.engine.step_s = 0.03
    began = time.monotonic()
    first, second = await bench.imagine(steps=10), await bench.imagine(steps=10)
    await bench.post(first.id)
    await bench.post(second.id)
    passed_s = time.monotonic() - began
    found = await scrape()
    steps_s = found["reverie_step_seconds_sum", ""] / found["reverie_step_seconds_count", ""]
    assert steps_s >= 0.03
    assert 0.6 <= found["reverie_picture_seconds_sum", ""] < passed_s
    assert 0.3 <= found["reverie_job_wait_seconds_sum", ""] < 2 * passed_s
    assert (await bench.service.host.status(HOST)).totals.step_mean_s == pytest.approx(steps_s)


async def test_an_interruption_is_counted_and_the_wait_only_once(bench: RealService) -> None:
    bench.engine.faults.append(SystemExit())
    await bench.post((await bench.imagine()).id)
    totals = bench.service.metrics.totals()
    assert totals.interrupted == 1
    assert bench.service.metrics.registry.get_sample_value("reverie_job_wait_seconds_count") == 1


async def test_host_status_shows_the_same(bench: RealService, scrape: Scraper) -> None:
    bench.engine.gpu = {"used": 2**30, "free": 3 * 2**30, "total": 4 * 2**30}
    await bench.post((await bench.imagine(),)[0].id)
    bench.engine.faults.append(ZeroDivisionError("no"))
    await bench.reaches((await bench.imagine()).id, JobState.FAILED)
    bench.engine.open.clear()
    running = await bench.imagine()
    await bench.reaches(running.id, JobState.RUNNING)
    await bench.imagine()
    found, status = await scrape(), await bench.service.host.status(HOST)
    states = {"queued": status.queued, "running": status.running, "posting": status.posting}
    assert {state: found["reverie_jobs", state] for state in states} == states
    assert status.waiting_for_access == found["reverie_jobs", "waiting"]
    assert status.gpu_bytes == {kind: found["reverie_gpu_memory_bytes", kind] for kind in ("used", "free", "total")}
    totals = status.totals
    assert totals.accepted == found["reverie_jobs_accepted_total", ""] == 4
    assert dict(totals.ends) == {end: found["reverie_jobs_ended_total", end] for end in ENDS}
    assert totals.failures == {"unexpected": found["reverie_jobs_failed_total", "unexpected"]}
    assert totals.pictures == found["reverie_pictures_total", ""] == 1
    mean = found["reverie_job_wait_seconds_sum", ""] / found["reverie_job_wait_seconds_count", ""]
    assert totals.wait_mean_s == pytest.approx(mean)


async def test_without_a_gpu_nothing_is_said_of_its_memory(bench: RealService, scrape: Scraper) -> None:
    assert not [name for name, _ in await scrape() if name.startswith("reverie_gpu")]
    assert (await bench.service.host.status(HOST)).gpu_bytes == {}


async def test_no_person_no_server_and_no_prompt_is_in_it(bench: RealService, scrape: Scraper) -> None:
    who = requester(888_777_666, guild_id=555_444_333, channel_id=CHANNEL)
    await bench.post((await bench.imagine("a secret wish", who=who)).id)
    _, _, text = await scrape.answer()
    assert "secret" not in text and "888777666" not in text and "555444333" not in text
    labels = set(re.findall(r"[{,]([a-z]+)=", text))
    assert labels <= {"state", "end", "reason", "kind", "le", "painter"}
    assert len(text.splitlines()) < 200


async def test_unexpected_reasons_share_one_label(bench: RealService, scrape: Scraper) -> None:
    job = await bench.imagine()
    await bench.reaches(job.id, JobState.POSTING)
    await bench.service.post.failed(job.id, Sentence.of("a text of another version"))
    assert (await scrape())["reverie_jobs_failed_total", "other"] == 1


async def test_scrapes_do_not_hold_the_bot_up(bench: RealService, scrape: Scraper) -> None:
    """Scrape with twenty clients, one of which never reads its answer, while a job runs."""
    host, port = scrape.url.removeprefix("http://").split(":")
    _, lazy = await asyncio.open_connection(host, int(port))
    lazy.write(b"GET /metrics HTTP/1.1\r\n")
    job = asyncio.create_task(bench.imagine())
    found = await asyncio.gather(*(scrape() for _ in range(20)))
    assert len(found) == 20
    assert (await bench.post((await job).id)).state is JobState.DONE
    lazy.close()


async def test_the_lag_of_the_event_loop_is_seen(bench: RealService, scrape: Scraper) -> None:
    await asyncio.sleep(0)
    time.sleep(1.3)  # The loop is blocked, which must never happen.
    await asyncio.sleep(0.05)
    found = await scrape()
    assert found["reverie_loop_lag_seconds_sum", ""] > 0.2


async def test_only_the_metrics_are_there(bench: RealService, scrape: Scraper) -> None:
    for path in ("/", "/metrics/x", "/../etc/passwd"):
        assert (await scrape.answer(path))[0] == 404


async def test_before_the_start_and_after_the_end_there_are_no_figures(bench: RealService, scrape: Scraper) -> None:
    await bench.service.close()
    status, _, text = await scrape.answer()
    assert (status, text) == (503, "The database is closed.\n")
    await bench.start()


async def test_a_taken_port_is_reported(bench: RealService, scrape: Scraper, port: int) -> None:
    with pytest.raises(ConfigError) as caught:
        async with Endpoint(MetricsConfig(port=port), bench.service.host.exposition, bench.service.metrics.note_lag):
            pass
    said = str(caught.value)
    assert said.startswith(f"Metrics cannot be served at 127.0.0.1:{port} (") and "metrics.port" in said
    assert "reverie_jobs" in (await scrape.answer())[2]


@pytest.mark.parametrize("host", ["192.0.2.1", "no such host"])
async def test_a_foreign_address_is_reported(bench: RealService, port: int, host: str) -> None:
    with pytest.raises(ConfigError, match=r"metrics\.host"):
        async with Endpoint(MetricsConfig(host=host, port=port), bench.service.host.exposition, lambda lag_s: None):
            pass


async def test_it_is_off_by_default_and_leaves_nothing_behind(bench: RealService, port: int) -> None:
    before = asyncio.all_tasks()
    async with Endpoint(MetricsConfig(), bench.service.host.exposition, bench.service.metrics.note_lag):
        assert asyncio.all_tasks() == before
    async with Endpoint(MetricsConfig(port=port), bench.service.host.exposition, bench.service.metrics.note_lag):
        pass
    with pytest.raises(OSError, match=r"refused|Connect"):
        await asyncio.open_connection("127.0.0.1", port)


def test_two_of_them_share_nothing() -> None:
    first, second = Metrics(), Metrics()
    first.picture_saved(1.0, 0.1)
    assert (first.totals().pictures, second.totals().pictures) == (1, 0)


def test_nothing_of_the_librarys_own_registry_is_served() -> None:
    lines = Metrics().exposition({}, 0, {}, {}).decode().splitlines()
    assert [line for line in lines if not line.startswith(("reverie_", "#"))] == []


def test_an_empty_address_is_refused_since_it_would_be_every_address() -> None:
    with pytest.raises(ConfigError, match=r"metrics\.host"):
        Config(metrics=MetricsConfig(host=" ", port=9464))
