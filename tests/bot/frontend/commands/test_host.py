"""The host's view in Discord: the bot's state and figures, and error numbers that lead to the log."""

from __future__ import annotations

import json
import logging
import re
from dataclasses import dataclass

import pytest

from bot.jobs import JobState
from bot.log import JsonLines
from tests.bot.frontend.client_in_simcord import ClientInSimcord, reply_of


@dataclass
class Found:
    """Find the log entries with a number."""

    entries: list[dict[str, object]]

    @property
    def trace(self) -> str:
        return "".join(str(entry.get("trace", "")) for entry in self.entries)


def under(number: str, caplog: pytest.LogCaptureFixture) -> Found:
    """Return the lines with this number, as written."""
    lines = [json.loads(JsonLines().format(record)) for record in caplog.records]
    return Found([line for line in lines if line.get("error_id") == number])


def number_in(text: str) -> str:
    found = re.search(r"Error ID for the host of this bot: ([0-9a-f]{8})\b", text)
    assert found is not None, text
    return found[1]


@pytest.fixture(autouse=True)
def all_lines(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "bot")


async def test_status_shows_queue_times_ends_reasons_and_memory(stage: ClientInSimcord) -> None:
    stage.engine.gpu = {"used": 2**30, "free": 3 * 2**30, "total": 4 * 2**30}
    await stage.finished_job()
    stage.engine.faults.append(ZeroDivisionError("no"))
    await stage.ann.slash(stage.channel, "imagine", prompt="a cat")
    await stage.ended(2, JobState.FAILED)
    await stage.open_command("host", stage.ann)
    stage.client.hosts.add(stage.ann.id)
    text = reply_of(await stage.ann.slash(stage.channel, "host status")).content
    assert "Since the start: 2 accepted, 1 done (1 pictures), 1 failed, 0 cancelled" in text
    assert re.search(r"On average: \d+ s of waiting, 0\.\d\d s per step", text)
    assert "Reasons for failures: unexpected 1" in text
    assert "GPU memory: 1024 MiB used by the bot, 3072 MiB free, 4096 MiB in total" in text
    assert len(text) < 2_000


async def test_a_quiet_bot_without_a_gpu_says_nothing_of_failures_and_memory(stage: ClientInSimcord) -> None:
    await stage.open_command("host", stage.ann)
    stage.client.hosts.add(stage.ann.id)
    text = reply_of(await stage.ann.slash(stage.channel, "host status")).content
    assert "Since the start: 0 accepted" in text
    assert "GPU" not in text and "Reasons" not in text


async def test_the_number_of_a_failed_job_is_in_its_message_and_leads_to_the_trace(
    stage: ClientInSimcord, caplog: pytest.LogCaptureFixture
) -> None:
    stage.engine.faults.append(ZeroDivisionError("the inner matter"))
    await stage.ann.slash(stage.channel, "imagine", prompt="a cat")
    await stage.ended(1, JobState.FAILED)
    shown = stage.said()
    found = under(number_in(shown), caplog)
    assert "ZeroDivisionError: the inner matter" in found.trace
    assert {entry["job"] for entry in found.entries} == {1}
    assert not re.search(r"ZeroDivision|inner matter|Traceback|\.py\b", shown)


async def test_the_number_of_a_failed_answer_leads_to_the_trace(
    stage: ClientInSimcord, caplog: pytest.LogCaptureFixture
) -> None:
    stage.engine.foresight = RuntimeError("the inner matter")
    told = reply_of(await stage.ann.slash(stage.channel, "imagine", prompt="a cat")).content
    found = under(number_in(told), caplog)
    assert "RuntimeError: the inner matter" in found.trace
    assert {entry["guild"] for entry in found.entries} == {stage.guild.id}
    assert "inner matter" not in told


async def test_trouble_with_the_disk_names_no_path_to_people_and_says_all_to_the_log(
    stage: ClientInSimcord, caplog: pytest.LogCaptureFixture
) -> None:
    await stage.service.store.close()
    told = reply_of(await stage.ann.slash(stage.channel, "gallery")).content
    assert told.startswith("The bot cannot read or write its data at the moment.")
    assert str(stage.folder) not in told and "database" not in told
    assert "StoreError" in under(number_in(told), caplog).trace


async def test_painters_are_listed_drained_and_taken_back_by_the_host_alone(stage: ClientInSimcord) -> None:
    await stage.open_command("host", stage.ann)
    refused = reply_of(await stage.ann.slash(stage.channel, "host painters list")).content
    assert refused == "Only the host of this bot can do this."
    stage.client.hosts.add(stage.ann.id)
    await stage.finished_job()
    text = reply_of(await stage.ann.slash(stage.channel, "host painters list")).content
    assert text.startswith("**local**: a fake · models – · idle")
    await stage.ann.slash(stage.channel, "host painters drain", name="local")
    assert "(drained)" in reply_of(await stage.ann.slash(stage.channel, "host painters list")).content
    await stage.ann.slash(stage.channel, "imagine", prompt="a cat")
    await stage.ann.slash(stage.channel, "host painters add", name="local")
    await stage.ended(2, JobState.DONE)
