"""Galleries, reports, export, deletion, retention, and the host's side."""

from __future__ import annotations

import json
import time
import zipfile
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from bot.errors import ConfigError, NotFound, ShuttingDown
from bot.jobs import JobState
from bot.service import GRID, ReportReason, Whose
from tests.bot.real_service import BEN, GUILD, RealService, requester

ADMIN = requester(manages=True)
HOST = requester(hosts=True)


async def posted(bench: RealService, message_id: int = 9, **values: object) -> int:
    job = await bench.imagine(**values)
    return (await bench.post(job.id, message_id)).id


async def test_a_gallery_has_pages_newest_first(bench: RealService) -> None:
    ids = [await posted(bench) for _ in range(3)]
    page = await bench.service.archive.gallery(requester(), whose=Whose.MINE, page=1, per_page=2)
    assert [entry.job.id for entry in page.entries] == [ids[2], ids[1]]
    assert (page.page, page.pages, page.total) == (1, 2, 3)
    far = await bench.service.archive.gallery(requester(), whose=Whose.MINE, page=99, per_page=2)
    assert (far.page, [entry.job.id for entry in far.entries]) == (2, [ids[0]])
    empty = await bench.service.archive.gallery(requester(BEN), whose=Whose.MINE, page=-1)
    assert (empty.page, empty.pages, empty.entries) == (1, 1, ())


async def test_files_come_in_the_size_that_was_asked_for(bench: RealService) -> None:
    job_id = await posted(bench)
    archive = bench.service.archive
    small = await archive.thumbnail(requester(), job_id, 1, side_px=32)
    assert Image.open(BytesIO(small.data)).size == (32, 32)
    film = await archive.timelapse(requester(), job_id, 1, limit_bytes=10**7)
    assert getattr(Image.open(BytesIO(film.data)), "n_frames", 1) > 1
    with pytest.raises(NotFound):
        await archive.timelapse(requester(), job_id, 1, limit_bytes=10)
    for number in (GRID, 2, -1, 99):
        with pytest.raises(NotFound):
            await archive.file(requester(), job_id, number, limit_bytes=10**7)


async def test_another_server_sees_nothing(bench: RealService) -> None:
    job_id = await posted(bench, message_id=77)
    elsewhere, archive = requester(guild_id=GUILD + 1, manages=True), bench.service.archive
    for look in (
        archive.job(elsewhere, job_id),
        archive.file(elsewhere, job_id, 1, limit_bytes=10**7),
        archive.recipe(elsewhere, job_id),
        bench.service.reports.add(elsewhere, job_id, 1, ReportReason.OTHER),
        archive.delete(elsewhere, job_id),
    ):
        with pytest.raises(NotFound):
            await look
    assert await archive.job_of_message(elsewhere, 77) is None
    found = await archive.job_of_message(requester(), 77)
    assert found is not None
    assert found.id == job_id


async def test_a_report_is_written_down_once_for_each_person(bench: RealService) -> None:
    job_id = await posted(bench)
    reports = bench.service.reports
    await reports.add(requester(BEN), job_id, 1, ReportReason.OTHER)
    (report,) = (await reports.add(requester(BEN), job_id, 1, ReportReason.ADULT, "  look " * 400)).reports
    assert len(report.details) == 1000
    with pytest.raises(NotFound):
        await reports.add(requester(BEN), job_id, 2, ReportReason.OTHER)
    facts = await bench.service.store.pictures.person_facts(BEN)
    assert [item["reason"] for item in facts["reports"]] == ["adult"]


async def test_an_export_has_all_data_of_one_person_only(bench: RealService) -> None:
    mine = await posted(bench)
    elsewhere = await posted(bench, who=requester(guild_id=7))
    await posted(bench, who=requester(BEN))
    path = await bench.service.personal_data.export_mine(requester(), limit_bytes=10**7)
    with zipfile.ZipFile(path) as archive:
        names = set(archive.namelist())
        facts = json.loads(archive.read("data.json"))
    pictures = {f"pictures/{job_id}-1.png" for job_id in (mine, elsewhere)}
    assert names == pictures | {f"recipes/{job_id}.json" for job_id in (mine, elsewhere)} | {"data.json"}
    assert [job["id"] for job in facts["jobs"]] == [mine, elsewhere]
    assert facts["usage"]
    assert facts["left_out"] == []
    assert path.is_relative_to(bench.files.root)


async def test_an_export_that_would_be_too_large_says_what_it_leaves_out(bench: RealService) -> None:
    job_id = await posted(bench)
    path = await bench.service.personal_data.export_mine(requester(), limit_bytes=100)
    with zipfile.ZipFile(path) as archive:
        assert json.loads(archive.read("data.json"))["left_out"] == [
            f"recipes/{job_id}.json",
            f"pictures/{job_id}-1.png",
        ]


async def test_deleting_mine_takes_all_of_mine_everywhere(bench: RealService) -> None:
    bens = await posted(bench, who=requester(BEN))
    await bench.service.reports.add(requester(), bens, 1, ReportReason.OTHER)
    await posted(bench)
    await posted(bench, who=requester(guild_id=7))
    bench.engine.open.clear()
    await bench.imagine()
    assert len(await bench.service.personal_data.delete_mine(requester())) == 3
    bench.engine.open.set()
    assert bench.files.job_ids() == {bens}
    facts = await bench.service.store.pictures.person_facts(requester().user_id)
    assert facts["reports"] == []
    assert await bench.service.personal_data.delete_mine(requester()) == []


async def test_old_pictures_go_and_young_ones_stay(bench: RealService) -> None:
    old, young, kept = await posted(bench), await posted(bench), await posted(bench, who=requester(guild_id=7))
    await bench.service.guilds.set_retention(ADMIN, 1)
    two_days_ago = time.time() - 2 * 86_400
    await bench.service.store.jobs.change(old, ended_at=two_days_ago)
    await bench.service.store.jobs.change(kept, ended_at=two_days_ago)
    await bench.service.maintenance.retain()
    assert bench.files.job_ids() == {young, kept}


async def test_a_clock_that_jumps_deletes_nothing(bench: RealService) -> None:
    job_id = await posted(bench)
    await bench.service.guilds.set_retention(ADMIN, 1)
    housekeeping = bench.service.maintenance
    await bench.service.store.jobs.change(job_id, ended_at=time.time() - 2 * 86_400)
    housekeeping.clock.known_at -= 5 * 86_400
    await housekeeping.retain()
    assert bench.files.job_ids() == {job_id}


async def test_a_post_that_finds_no_way_for_too_long_is_given_up(bench: RealService) -> None:
    from bot.texts import Sentence

    job = await bench.imagine()
    await bench.reaches(job.id, JobState.POSTING)
    await bench.service.post.wait_for_access(job.id, Sentence.of("channel_denied"))
    await bench.service.store.jobs.change(job.id, waiting_since=time.time() - 365 * 86_400)
    failed = await bench.reaches(job.id, JobState.FAILED)
    assert failed.reason is not None
    assert failed.reason.key == "channel_denied"
    assert (await bench.service.archive.gallery(requester(), whose=Whose.MINE)).total == 1


async def test_the_host_sees_how_the_bot_is(bench: RealService) -> None:
    await posted(bench)
    bench.engine.open.clear()
    first = await bench.imagine()
    await bench.reaches(first.id, JobState.RUNNING)
    await bench.imagine()
    status = await bench.service.host.status(HOST)
    assert (status.running, status.queued, status.posting, status.guilds_waiting) == (1, 1, 0, 1)
    assert (status.worker, status.models, status.worker_deaths) == ("a fake", "starter", 0)
    assert status.data_bytes > 0
    assert status.free_bytes > 0


async def test_the_host_can_close_the_door_and_open_it_again(bench: RealService) -> None:
    await bench.service.host.drain(HOST)
    with pytest.raises(ShuttingDown):
        await bench.imagine()
    assert (await bench.service.host.status(HOST)).draining
    await bench.service.host.drain(HOST, on=False)
    await bench.imagine()


async def test_the_hosts_styles_are_reloaded_and_kept_if_the_file_is_broken(bench: RealService, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("styles: {ink: black ink}")
    assert await bench.service.host.reload_styles(HOST, path) == 1
    path.write_text("styles: 7")
    with pytest.raises(ConfigError):
        await bench.service.host.reload_styles(HOST, path)
    assert [style.name for style in await bench.service.words.styles(GUILD)] == ["ink"]
