"""The web gallery over real sockets: who sees which picture, and how its pages and files are served."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from bot.config import Gallery
from bot.errors import ConfigError
from bot.files import Kind
from bot.jobs import Job, JobState, Origin, ReportReason
from bot.service import FollowUp, ImageInput, Safety
from bot.store import Store
from bot.store.web import page_query
from bot.texts import Sentence
from bot.web.server import GalleryServer
from generator import read_recipe
from tests.bot.real_service import BEN, CHANNEL, requester
from tests.bot.service.test_films import attached, video
from tests.bot.web.conftest import ADMIN, Visitor

PUBLIC = requester(public_channel_id=CHANNEL)
OTHER_SERVER = requester(BEN, guild_id=101, manages=True)


def picture_file(colour: str = "red") -> bytes:
    out = BytesIO()
    Image.new("RGB", (64, 64), colour).save(out, "PNG")
    return out.getvalue()


async def follow_up(visitor: Visitor, job: Job, kind: Origin, number: int = 1) -> Job:
    found = await visitor.bench.service.submissions.go_on(PUBLIC, job.id, number, FollowUp(kind=kind))
    return await visitor.bench.post(found.job.id, message_id=1_000 + found.job.id)


# Who sees which picture


async def test_a_public_picture_is_listed_with_prompt_recipe_and_timelapse(visitor: Visitor) -> None:
    job = await visitor.paint("a red apple")
    status, listed, _ = await visitor.get()
    assert status == 200 and "Pictures of Test" in listed and 'alt="a red apple"' in listed
    addresses = await visitor.addresses(job.id)
    forms = {re.sub(r".*-(small|full|timelapse|recipe)-.*", r"\1", name) for name in addresses[1:]}
    assert forms == {"small", "full", "timelapse", "recipe"}
    assert await visitor.statuses(addresses) == [200] * 5
    page = (await visitor.get(addresses[0]))[1]
    assert "a red apple" in page and f"<dd>{job.settings.seed}</dd>" in page and "ann" not in page.lower()
    recipe = next(name for name in addresses if "recipe" in name)
    assert read_recipe((await visitor.load(recipe))[1]).request.prompt == "a red apple"
    full = next(name for name in addresses if "full" in name)
    data = (await visitor.load(full))[1]
    with Image.open(BytesIO(data)) as image:
        assert image.size == (64, 64) and not image.info.get("xmp")
    assert b"apple" not in data


NEVER: dict[str, dict[str, Any]] = {
    "private": {"private": True},
    "a hidden channel": {"who": requester()},
    "an age-restricted channel": {"who": replace(PUBLIC, age_restricted=True)},
    "another channel": {"who": replace(PUBLIC, public_channel_id=CHANNEL + 1)},
    "a person without a server": {"who": replace(PUBLIC, guild_id=-1)},
    "another server": {"who": replace(PUBLIC, guild_id=101)},
}


async def test_pictures_that_never_were_public_are_not_shown(visitor: Visitor) -> None:
    shown = await visitor.paint()
    addresses = await visitor.addresses(shown.id)
    for why, values in NEVER.items():
        job = await visitor.paint(why, **values)
        assert not await visitor.shows(job.id), why
        copied = [re.sub(rf"/{shown.id}-", f"/{job.id}-", name) for name in addresses]
        assert set(await visitor.statuses(copied)) == {404}, why
    assert await visitor.shows(shown.id)


async def test_a_picture_that_was_not_checked_or_was_flagged_takes_its_job_off_the_web(visitor: Visitor) -> None:
    service = visitor.bench.service
    visitor.bench.engine.unsafe = True
    flagged = await visitor.paint("flagged")
    visitor.bench.engine.unsafe = False
    assert not await visitor.shows(flagged.id)
    await service.guilds.set_safety(ADMIN, mode=Safety.OFF)
    unchecked = await visitor.paint("unchecked")
    await service.guilds.set_safety(ADMIN, mode=Safety.SPOILER)
    assert not await visitor.shows(unchecked.id)
    four = await visitor.paint("four", count=2)
    assert await visitor.shows(four.id)
    second = (await service.archive.pictures(four.id))[1]
    await service.store.jobs.save_picture(replace(second, flagged=True), 0.0)
    assert not await visitor.shows(four.id)
    assert await visitor.statuses([f"p/{four.id}-1"]) == [404]


async def test_a_picture_is_shown_when_discord_has_it(visitor: Visitor) -> None:
    job = await visitor.bench.imagine(who=PUBLIC)
    await visitor.bench.reaches(job.id, JobState.POSTING)
    assert not await visitor.shows(job.id)
    await visitor.bench.service.post.failed(job.id, Sentence.of("channel_gone"))
    assert not await visitor.shows(job.id)


Change = Callable[[Visitor, Job], Awaitable[object]]


async def report(visitor: Visitor, job: Job) -> None:
    await visitor.bench.service.reports.add(requester(BEN), job.id, 1, ReportReason.OTHER)


async def report_and_withdraw(visitor: Visitor, job: Job) -> None:
    await report(visitor, job)
    await visitor.bench.service.personal_data.delete_mine(requester(BEN))


async def report_and_forget(visitor: Visitor, job: Job) -> None:
    await report(visitor, job)
    assert await visitor.bench.service.store.reports.drop_old(job.guild_id, 2e10) == 1


async def close_channel(visitor: Visitor, job: Job) -> None:
    visitor.places.open_ones.clear()


async def revoke(visitor: Visitor, job: Job) -> None:
    assert await visitor.bench.service.web_gallery.revoke(ADMIN)


async def renew(visitor: Visitor, job: Job) -> None:
    await visitor.bench.service.web_gallery.renew(ADMIN)


GONE: dict[str, Change] = {
    "deleted": lambda visitor, job: visitor.bench.service.archive.delete(ADMIN, job.id),
    "all data of its owner deleted": lambda visitor, job: visitor.bench.service.personal_data.delete_mine(PUBLIC),
    "hidden": lambda visitor, job: visitor.bench.service.archive.hide(ADMIN, job.id),
    "reported": report,
    "reported, and the report withdrawn": report_and_withdraw,
    "reported, and nobody decided": report_and_forget,
    "prompt refused by Discord": lambda visitor, job: visitor.bench.service.post.keep_off_the_web(job.id),
    "message deleted": lambda visitor, job: visitor.bench.service.messages_gone(job.guild_id, {1_000 + job.id}),
    "thread deleted": lambda visitor, job: visitor.bench.service.thread_gone(job.guild_id, CHANNEL),
    "channel closed": close_channel,
    "link revoked": revoke,
    "link replaced": renew,
    "server left": lambda visitor, job: visitor.bench.service.guild_gone(job.guild_id),
}


@pytest.mark.parametrize("why", GONE)
async def test_page_and_files_vanish_at_once(visitor: Visitor, why: str) -> None:
    job = await visitor.paint()
    addresses = await visitor.addresses(job.id)
    tags = [(await visitor.load(address))[2].get("ETag", "") for address in addresses]
    assert await visitor.statuses(addresses) == [200] * 5
    await GONE[why](visitor, job)
    assert not await visitor.shows(job.id)
    for address, tag in zip(addresses, tags, strict=True):
        assert (await visitor.load(address, If_None_Match=tag or "*"))[0] == 404, address


async def test_a_decided_report_brings_the_picture_back(visitor: Visitor) -> None:
    job, reports = await visitor.paint(), visitor.bench.service.reports
    found = await reports.add(requester(BEN), job.id, 1, ReportReason.OTHER)
    assert not await visitor.shows(job.id)
    await reports.close(ADMIN, found.id)
    assert await visitor.shows(job.id)


async def test_recipe_and_timelapse_give_away_no_attached_picture_and_no_hidden_parent(visitor: Visitor) -> None:
    attached = await visitor.paint("by a picture", image_prompts=(ImageInput(data=picture_file()),))
    begun = await visitor.paint("from a picture", init_image=picture_file())
    parent = await visitor.paint("a parent")
    child = await follow_up(visitor, parent, Origin.VARY)
    for job in (attached, begun):
        forms = " ".join(await visitor.addresses(job.id))
        assert "full" in forms and "recipe" not in forms and "timelapse" not in forms
    told = await visitor.addresses(child.id)
    assert len(told) == 5 and await visitor.statuses(told) == [200] * 5
    await visitor.bench.service.archive.hide(ADMIN, parent.id)
    left = await visitor.addresses(child.id)
    assert [name for name in left if "recipe" in name or "timelapse" in name] == []
    codes = dict(zip(told, await visitor.statuses(told), strict=True))
    assert {name: code for name, code in codes.items() if code != 200} == {
        name: 404 for name in told if "recipe" in name or "timelapse" in name
    }
    await visitor.bench.service.archive.delete(ADMIN, parent.id)
    assert len(await visitor.addresses(child.id)) == 3


async def test_only_an_admin_of_the_server_makes_and_sees_its_link(visitor: Visitor) -> None:
    gallery = visitor.bench.service.web_gallery
    other = await gallery.renew(OTHER_SERVER)
    assert await gallery.secret(ADMIN) == visitor.secret and await gallery.guild_of(other) == 101
    job = await visitor.paint()
    assert await visitor.shows(job.id)
    addresses, visitor.secret = await visitor.addresses(job.id), other
    assert not await visitor.shows(job.id)
    assert set(await visitor.statuses(addresses)) == {404}
    for work in (gallery.secret, gallery.renew, gallery.revoke):
        with pytest.raises(Exception, match="Only someone who manages the server"):
            await work(requester())


async def test_a_wrong_link_and_odd_addresses_tell_nothing(visitor: Visitor) -> None:
    job = await visitor.paint()
    addresses = await visitor.addresses(job.id)
    odd = [
        *addresses, "", "f/", "f/../../reverie.db", "f/%2e%2e%2freverie.db", "p/1", "p/0-1", "p/1-0", "p/1-9",
        "p/999999999999999999-1", "p/9999999999999999999-1",
    ]  # fmt: skip
    known = visitor.secret
    for visitor.secret in ("x", "A" * 32, "%2e%2e", "%00", "ä" * 32, known[:-1], known + "A"):
        assert {(await visitor.load(path))[0] for path in odd} == {404}, visitor.secret
    visitor.secret = known
    tried = [path for path in odd if path not in (*addresses, "")]
    assert set(await visitor.statuses(tried)) == {404}
    status, text, _ = await visitor.get("?after=x&q=" + "y" * 5_000)
    assert status == 200 and "y" * 101 not in text


# How it is served


async def test_pages_run_nothing_and_load_nothing_from_elsewhere(visitor: Visitor) -> None:
    evil = "<script>alert(1)</script>\" onerror='x' {{ 49 * 2 }}"
    job = await visitor.paint(evil)
    visitor.places.known_as = "<b>Test</b>"
    for path in ("", f"p/{job.id}-1", "?q=%3Cscript%3E", "nothing/at/all"):
        _, text, headers = await visitor.get(path)
        assert "<script" not in text and "style=" not in text and "onerror='" not in text
        assert "<b>" not in text and not re.search(r'(src|href|action)="(?:https?:)?//', text)
        rules = dict(rule.split(" ", 1) for rule in headers["Content-Security-Policy"].split("; "))
        assert rules.pop("default-src") == rules.pop("base-uri") == rules.pop("frame-ancestors") == "'none'"
        assert set(rules.values()) == {"'self'"} and "script-src" not in rules
        assert "noindex" in headers["X-Robots-Tag"] and "noindex" in text
        assert headers["Referrer-Policy"] == "no-referrer" and headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "private, no-cache" and "Set-Cookie" not in headers
    assert "{{ 49 * 2 }}" in (await visitor.get())[1]
    for address in await visitor.addresses(job.id):
        headers = (await visitor.load(address))[2]
        assert "default-src 'none'" in headers["Content-Security-Policy"] and "noindex" in headers["X-Robots-Tag"]


async def test_a_file_has_another_address_when_its_contents_change(visitor: Visitor) -> None:
    job, files = await visitor.paint(), visitor.bench.service.files
    for kind, form in ((Kind.PICTURE, "full"), (Kind.TIMELAPSE, "timelapse")):
        before = next(name for name in await visitor.addresses(job.id) if form in name)
        status, data, headers = await visitor.load(before)
        assert status == 200
        assert (await visitor.load(before, If_None_Match=headers["ETag"]))[0] == 304
        status, part, range_headers = await visitor.load(before, Range="bytes=4-9", If_Range=headers["ETag"])
        assert (status, part) == (206, data[4:10])
        assert range_headers["Content-Range"] == f"bytes 4-9/{len(data)}"
        assert (await visitor.load(before, Range="bytes=-5"))[1] == data[-5:]
        assert (await visitor.load(before, Range=f"bytes={len(data)}-"))[0] == 416
        out = BytesIO()
        Image.new("RGB", (64, 64), "blue").save(out, kind.value[1])
        files.write(kind, job.id, 1, out.getvalue())
        assert (await visitor.load(before, Range="bytes=4-"))[0] == 404
        after = next(name for name in await visitor.addresses(job.id) if form in name)
        assert after != before and (await visitor.load(after))[1] != data


async def test_a_film_is_shown_as_a_film_unless_it_has_somebodys_video(visitor: Visitor, tmp_path: Path) -> None:
    job = await visitor.paint("a river", film={"seconds": 0.5})
    (film,) = [name for name in await visitor.addresses(job.id) if "-film-" in name]
    status, data, headers = await visitor.load(film)
    assert status == 200 and headers["Content-Type"] in ("video/mp4", "image/webp") and len(data) > 100
    restyled = await visitor.paint("a river", film={}, video=attached(video(tmp_path / "cat.mp4")))
    forms = " ".join(await visitor.addresses(restyled.id))
    assert "full" in forms and "film" not in forms and "recipe" not in forms


async def test_a_missing_file_is_told(visitor: Visitor) -> None:
    job = await visitor.paint("lost")
    visitor.bench.service.files.remove_job(job.id)
    listed, page = (await visitor.get())[1], (await visitor.get(f"p/{job.id}-1"))[1]
    assert "lost" in listed and "<img" not in listed and "file of this picture is missing" in page


async def test_pages_follow_each_other_without_gaps_and_search_finds_all_words(visitor: Visitor) -> None:
    job = await visitor.paint("a red apple", count=2)
    store: Store = visitor.bench.service.store
    for number in range(1, 31):
        copied = await store.jobs.add(
            replace(job, prompt=f"number {number} {'Fox' if number % 3 else 'owl'}", count=1), "{}", lambda load: None
        )
        picture = (await store.jobs.pictures(job.id))[0]
        await store.jobs.save_picture(replace(picture, job_id=copied.id), 0.0)
    seen, path = list[str](), ""
    for _ in range(3):
        text = (await visitor.get(path))[1]
        seen += re.findall(r'href="p/([\d-]+)"', text)
        found = re.search(r'rel="next" href="./([^"]+)"', text)
        if found is None:
            break
        path = found[1].replace("&amp;", "&")
    assert len(seen) == len(set(seen)) == 32
    assert seen == sorted(seen, key=lambda item: (-int(item.split("-")[0]), item))
    assert len(re.findall('href="p/', (await visitor.get("?q=fox+number"))[1])) == 20
    assert len(re.findall('href="p/', (await visitor.get("?q=OWL"))[1])) == 10
    text = (await visitor.get("?q=%25", Accept_Language="de-DE,de;q=0.9,en;q=0.8"))[1]
    assert '<html lang="de">' in text and "Kein Prompt enthält diese Wörter." in text


async def test_no_query_for_a_page_sorts_or_reads_all_jobs(visitor: Visitor) -> None:
    """The index holds the condition, the order and the prompt."""
    with closing(sqlite3.connect(visitor.bench.files.database)) as db:
        names = dict.fromkeys(("guild", "channels", "job", "number", "length", "word0"), "1")
        plan = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {page_query(1)}", names)]
    assert "SEARCH jobs USING INDEX jobs_on_web (guild_id=? AND id<?)" in plan
    assert [line for line in plan if "SCAN jobs" in line or "SCAN pictures" in line or "B-TREE" in line] == []


async def test_without_the_database_it_says_so(visitor: Visitor) -> None:
    await visitor.bench.service.store.close()
    status, text, headers = await visitor.get()
    assert status == 503 and "at the moment" in text and "noindex" in headers["X-Robots-Tag"]


async def test_a_taken_port_is_told(visitor: Visitor) -> None:
    service, config = visitor.bench.service, visitor.bench.config
    with pytest.raises(ConfigError, match=rf"Web galleries cannot be served at 127.0.0.1:{config.gallery.port} \("):
        async with GalleryServer(config, service.web_gallery, service.files, visitor.places):
            pass


def test_the_link_begins_with_the_public_address() -> None:
    assert Gallery(port=9465).public_address == "http://127.0.0.1:9465"
    assert Gallery(port=9465, host="::1").public_address == "http://[::1]:9465"
    assert Gallery(address="https://example.org/pictures/").public_address == "https://example.org/pictures"
