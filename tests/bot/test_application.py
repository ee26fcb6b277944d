"""The service as a whole: real database, real thread, fake dream."""

from __future__ import annotations

import asyncio
import threading
import time
from io import BytesIO

import pytest
from PIL import Image

from bot.errors import FilesError, NotFound, NotOwner, QueueFull, ShuttingDown, WrongState
from bot.files import Kind
from bot.jobs import Job, JobState, Origin
from bot.service import GRID, FollowUp, JobSpec, Safety, Whose
from bot.texts import Sentence
from generator import DeviceFailed, GenerationRequest, GeneratorError, OutOfMemory, Provenance, read_recipe
from generator.version import __version__
from tests.bot.fake_dream import FakeDream
from tests.bot.real_service import BEN, CHANNEL, GUILD, QUICK, RealService, requester, until

LONG = {"steps": 600}


async def running(bench: RealService, job: Job) -> Job:
    """Return the job, as soon as it has made a step."""

    async def moves() -> Job | None:
        view = await bench.service.view(job.id)
        return view.job if view is not None and view.progress is not None else None

    return await until(moves)


def files_of(bench: RealService, job_id: int) -> set[str]:
    return {path.parent.parent.name for path in bench.files.root.rglob(f"{job_id:09d}-*")}


async def test_a_request_is_queued_generated_saved_and_posted(bench: RealService) -> None:
    job = await bench.imagine()
    assert job.state is JobState.QUEUED
    done = await bench.post(job.id)
    assert (done.state, done.message_id, done.told) == (JobState.DONE, 9, True)
    assert files_of(bench, job.id) == {"pictures", "latents", "timelapses"}
    assert job.id in bench.changes


async def test_the_saved_picture_carries_the_recipe_that_makes_it_again(bench: RealService) -> None:
    job = await bench.imagine(seed=11)
    await bench.post(job.id)
    data = bench.files.read(Kind.PICTURE, job.id, 1)
    assert data is not None
    request = read_recipe(data).request
    assert (request.prompt, request.settings.seed) == ("a red apple", 11)
    assert await bench.service.archive.request(requester(), job.id, 1) == request


async def test_the_picture_and_its_row_are_there_before_it_is_to_be_posted(bench: RealService) -> None:
    seen: list[tuple[int, bool]] = []
    job = await bench.imagine()

    async def look() -> None:
        view = await bench.service.view(job.id)
        if view is not None and view.job.state is JobState.POSTING:
            seen.append((len(view.pictures), bench.files.read(Kind.PICTURE, job.id, 1) is not None))

    tasks = []
    bench.service.watch(lambda job_id: tasks.append(asyncio.ensure_future(look())))
    await bench.post(job.id)
    await asyncio.gather(*tasks)
    assert set(seen) == {(1, True)}


async def test_a_running_job_has_progress_preview_and_a_time(bench: RealService) -> None:
    bench.engine.step_s = 0.02
    bench.engine.hold(20)
    began = time.time()
    job = await bench.imagine(**LONG)

    async def previewed() -> bool | None:
        view = await bench.service.view(job.id)
        if view is None or view.preview is None or view.progress is None or view.due_at is None:
            return None
        assert Image.open(BytesIO(view.preview.data)).size == (64, 64)
        return view.progress.steps == 600 and view.due_at > began + 580 * 0.02

    assert await until(previewed)
    await bench.service.cancel(requester(), job.id)


async def test_waiting_jobs_show_their_place_and_time(bench: RealService) -> None:
    bench.engine.open.clear()
    first = await bench.imagine()
    await bench.reaches(first.id, JobState.RUNNING)
    second = await bench.service.submissions.submit(requester(), JobSpec(prompt="two", settings=QUICK))
    third = await bench.service.submissions.submit(requester(BEN, guild_id=7), JobSpec(prompt="three", settings=QUICK))
    places = [(await bench.service.view_of_new(submitted.job)).place for submitted in (second, third)]
    assert [place and place.place for place in places] == [1, 2]
    assert places[0] is not None and places[0].due_at is not None
    assert places[0].due_at > time.time()
    queue = await bench.service.queue(requester())
    assert [view.job.id for view in queue] == [first.id, second.job.id]


async def test_several_pictures_are_one_job_with_a_grid_and_seeds_that_follow(bench: RealService) -> None:
    submitted = await bench.service.submissions.submit(
        requester(), JobSpec(prompt="x", settings=QUICK | {"seed": 5}, count=4)
    )
    await bench.post(submitted.job.id)
    pictures = await bench.service.archive.pictures(submitted.job.id)
    assert [(item.number, item.seed) for item in pictures] == [(1, 5), (2, 6), (3, 7), (4, 8)]
    grid = await bench.service.archive.file(requester(), submitted.job.id, GRID, limit_bytes=10**7)
    assert (grid.width, grid.height) == (132, 132)
    third = await bench.service.archive.file(requester(), submitted.job.id, 3, limit_bytes=10**7)
    assert read_recipe(third.data).request.settings.seed == 7


async def test_finishing_early_keeps_the_current_picture_and_starts_no_other(bench: RealService) -> None:
    bench.engine.hold(5)
    spec = JobSpec(prompt="x", settings=QUICK | LONG, count=4)
    job = (await bench.service.submissions.submit(requester(), spec)).job
    await running(bench, job)
    await bench.service.finish_early(requester(), job.id)
    bench.engine.open.set()
    await bench.post(job.id)
    (picture,) = await bench.service.archive.pictures(job.id)
    assert picture.stopped_at == picture.steps
    request = await bench.service.archive.request(requester(), job.id, 1)
    assert request.stopped_at == picture.steps


async def test_a_cancelled_queued_job_never_runs(bench: RealService) -> None:
    bench.engine.open.clear()
    first = await bench.imagine("first")
    second = await bench.imagine("second")
    await bench.reaches(first.id, JobState.RUNNING)
    cancelled = await bench.service.cancel(requester(), second.id)
    assert (cancelled.state, cancelled.told) == (JobState.CANCELLED, False)
    bench.engine.open.set()
    await bench.reaches(first.id, JobState.POSTING)
    assert [request.prompt for request in bench.engine.begun] == ["first"]


async def test_a_running_job_can_be_cancelled_and_leaves_no_file(bench: RealService) -> None:
    bench.engine.hold(5)
    job = await bench.imagine(**LONG)
    await running(bench, job)
    await bench.service.cancel(requester(), job.id)
    bench.engine.open.set()
    other = await bench.imagine()
    await bench.reaches(other.id, JobState.POSTING)
    assert files_of(bench, job.id) == set()
    assert [item.id for item in await bench.service.post.unsettled()] == [job.id, other.id]
    await bench.service.post.mark_told(job.id)
    assert [item.id for item in await bench.service.post.unsettled()] == [other.id]


async def test_only_the_owner_or_an_admin_of_the_same_server_may_end_a_job(bench: RealService) -> None:
    bench.engine.open.clear()
    job = await bench.imagine()
    for end in (bench.service.cancel, bench.service.finish_early, bench.service.archive.delete):
        with pytest.raises(NotOwner):
            await end(requester(BEN), job.id)
        with pytest.raises(NotFound):
            await end(requester(guild_id=GUILD + 1, manages=True), job.id)
        with pytest.raises(NotFound):
            await end(requester(), 999)
    assert (await bench.service.cancel(requester(BEN, manages=True), job.id)).state is JobState.CANCELLED


async def test_an_ended_job_cannot_be_cancelled_or_finished(bench: RealService) -> None:
    job = await bench.imagine()
    await bench.reaches(job.id, JobState.POSTING)
    for end in (bench.service.cancel, bench.service.finish_early):
        with pytest.raises(WrongState):
            await end(requester(), job.id)
    await bench.post(job.id)
    with pytest.raises(WrongState):
        await bench.service.cancel(requester(), job.id)


@pytest.mark.parametrize(
    ("fault", "key"),
    [
        (OutOfMemory("no"), "out_of_memory"),
        (MemoryError(), "out_of_memory"),
        (GeneratorError("The loss is no number."), "generator_says"),
        (ZeroDivisionError(), "unexpected"),
    ],
)
async def test_a_failed_job_has_a_reason_and_the_next_one_runs(bench: RealService, fault: Exception, key: str) -> None:
    bench.engine.faults = [fault]
    job, other = await bench.imagine(), await bench.imagine()
    failed = await bench.reaches(job.id, JobState.FAILED)
    assert failed.reason is not None
    assert failed.reason.key == key
    await bench.reaches(other.id, JobState.POSTING)


async def test_a_thread_that_dies_costs_one_try(bench: RealService) -> None:
    bench.engine.faults = [SystemExit()]
    job = await bench.imagine()
    await bench.reaches(job.id, JobState.POSTING)
    assert bench.executor.deaths == 1


async def test_a_job_that_kills_the_thread_twice_has_failed(bench: RealService) -> None:
    bench.engine.faults = [SystemExit(), SystemExit()]
    job, other = await bench.imagine(), await bench.imagine()
    failed = await bench.reaches(job.id, JobState.FAILED)
    assert failed.reason is not None
    assert failed.reason.key == "painter_died"
    await bench.reaches(other.id, JobState.POSTING)


async def test_a_gpu_that_fails_in_a_step_costs_no_step_that_was_saved(bench: RealService) -> None:
    bench.engine.step_s = 0.05
    bench.engine.hold(6)
    job = await bench.imagine(steps=12)

    async def saved() -> bool | None:
        return True if bench.files.read(Kind.SNAPSHOT, job.id, 1) else None

    await until(saved)
    bench.engine.faults = [DeviceFailed("The GPU failed.")]
    bench.engine.open.set()
    await bench.reaches(job.id, JobState.POSTING)
    assert (bench.executor.deaths, bench.engine.renewed) == (1, 1)
    assert len(bench.engine.resumed) == 1 and bench.engine.resumed[0] > 0
    assert len(bench.engine.begun) == 1


async def test_a_gpu_that_fails_twice_is_a_sentence(bench: RealService) -> None:
    bench.engine.faults = [DeviceFailed("The GPU failed."), DeviceFailed("The GPU failed.")]
    job = await bench.imagine()
    failed = await bench.reaches(job.id, JobState.FAILED)
    assert failed.reason is not None and failed.reason.key == "gpu_failed"
    assert "Traceback" not in failed.reason.said() and "CUDA" not in failed.reason.said()


async def test_posting_is_written_down_and_a_second_confirmation_changes_nothing(bench: RealService) -> None:
    job = await bench.imagine()
    await bench.reaches(job.id, JobState.POSTING)
    post = bench.service.post
    first, second = [await post.begin(job.id, limit_bytes=10**7) for _ in range(2)]
    assert first is not None
    assert second is not None
    assert (first.repeated, second.repeated) == (False, True)
    assert first.files[0].name == f"reverie-{job.id}-1.png"
    await post.done(job.id, CHANNEL, 1)
    again = await post.done(job.id, CHANNEL, 2)
    assert again is not None
    assert again.message_id == 1
    assert await post.begin(job.id, limit_bytes=10**7) is None


async def test_a_timelapse_that_was_asked_for_is_posted_too(bench: RealService) -> None:
    spec = JobSpec(prompt="x", settings=QUICK, timelapse=True)
    job = (await bench.service.submissions.submit(requester(), spec)).job
    await bench.reaches(job.id, JobState.POSTING)
    delivery = await bench.service.post.begin(job.id, limit_bytes=10**7)
    assert delivery is not None
    assert [file.name for file in delivery.files] == [f"reverie-{job.id}-1.png", f"reverie-timelapse-{job.id}-1.webp"]
    picture, film = delivery.files
    # The limit applies to each file: beside a picture of the same size the timelapse is still attached.
    each = max(len(picture.data), len(film.data))
    whole = await bench.service.post.begin(job.id, limit_bytes=each)
    assert whole is not None and len(whole.files) == 2 and whole.left_out == ()
    assert len(film.data) > len(picture.data)
    lacking = await bench.service.post.begin(job.id, limit_bytes=each - 1)
    assert lacking is not None and len(lacking.files) == 1
    assert [said.key for said in lacking.left_out] == ["left_out_timelapse"]


async def test_a_post_that_finds_a_closed_channel_waits_and_is_tried_again(bench: RealService) -> None:
    job = await bench.imagine()
    await bench.reaches(job.id, JobState.POSTING)
    await bench.service.post.wait_for_access(job.id, Sentence.of("channel_denied"))
    (view,) = await bench.service.queue(requester())
    assert view.job.waiting_for_access
    bench.changes.clear()

    async def called_again() -> bool | None:
        return job.id in bench.changes or None

    await until(called_again)
    assert (await bench.post(job.id)).waiting_since is None


async def test_a_job_waiting_for_access_can_be_cancelled(bench: RealService) -> None:
    job = await bench.imagine()
    await bench.reaches(job.id, JobState.POSTING)
    await bench.service.post.wait_for_access(job.id, Sentence.of("channel_denied"))
    await bench.service.cancel(requester(), job.id)
    assert files_of(bench, job.id) == set()
    assert await bench.service.post.begin(job.id, limit_bytes=10**7) is None


async def test_a_post_without_its_file_fails_with_a_reason(bench: RealService) -> None:
    job = await bench.imagine()
    await bench.reaches(job.id, JobState.POSTING)
    bench.files.remove(Kind.PICTURE, job.id, 1)
    with pytest.raises(FilesError):
        await bench.service.post.begin(job.id, limit_bytes=10**7)
    failed = await bench.reaches(job.id, JobState.FAILED)
    assert failed.reason is not None
    assert failed.reason.key == "picture_lost"


async def test_a_stop_keeps_everything_and_the_next_start_goes_on(bench: RealService) -> None:
    whole = await bench.imagine(seed=3, steps=150)
    await bench.reaches(whole.id, JobState.POSTING)
    bench.engine.hold(50)
    job, queued = await bench.imagine(seed=3, steps=150), await bench.imagine("another")
    await running(bench, job)
    await bench.drain()
    bench.engine.open.set()
    view = await bench.service.view(job.id)
    assert view is not None
    assert (view.job.state, view.paused) == (JobState.QUEUED, True)
    with pytest.raises(ShuttingDown):
        await bench.imagine()
    await bench.restart()
    await bench.reaches(job.id, JobState.POSTING)
    await bench.reaches(queued.id, JobState.POSTING)
    assert len(bench.engine.resumed) == 1
    assert bench.engine.resumed[0] > 0
    assert pixels(bench, job.id) == pixels(bench, whole.id)
    assert "snapshots" not in files_of(bench, job.id)


def pixels(bench: RealService, job_id: int, number: int = 1) -> bytes:
    data = bench.files.read(Kind.PICTURE, job_id, number)
    assert data is not None
    return Image.open(BytesIO(data)).tobytes()


async def test_a_grid_that_is_interrupted_keeps_its_finished_pictures(bench: RealService) -> None:
    bench.engine.hold(20, only=lambda request: request.settings.seed == 6)
    spec = JobSpec(prompt="x", settings=QUICK | {"steps": 40, "seed": 5}, count=2)
    job = (await bench.service.submissions.submit(requester(), spec)).job

    async def second() -> bool | None:
        view = await bench.service.view(job.id)
        return True if view is not None and view.number == 2 and view.progress is not None else None

    await until(second)
    await bench.drain()
    bench.engine.open.set()
    await bench.restart()
    await bench.post(job.id)
    assert len(await bench.service.archive.pictures(job.id)) == 2
    assert len(bench.engine.begun) == 2


async def test_the_queue_of_a_paused_server_stands_still_through_a_restart(bench: RealService) -> None:
    admin = requester(manages=True)
    await bench.service.guilds.pause(admin)
    job = await bench.imagine()
    other = await bench.imagine(who=requester(guild_id=7))
    await bench.reaches(other.id, JobState.POSTING)
    view = await bench.service.view(job.id)
    assert view is not None
    assert view.paused
    assert view.place is not None
    assert view.place.due_at is None
    await bench.restart()
    view = await bench.service.view(job.id)
    assert view is not None
    assert view.job.state is JobState.QUEUED
    await bench.service.guilds.resume(admin)
    await bench.reaches(job.id, JobState.POSTING)


async def test_clearing_cancels_what_waits_in_this_server_only(bench: RealService) -> None:
    bench.engine.open.clear()
    first = await bench.imagine()
    await bench.reaches(first.id, JobState.RUNNING)
    mine, other = await bench.imagine(), await bench.imagine(who=requester(guild_id=7))
    with pytest.raises(NotOwner):
        await bench.service.waiting.of_server(requester())
    admin = requester(manages=True)
    waiting = await bench.service.waiting.of_server(admin)
    assert await bench.service.waiting.cancel(admin, waiting, Sentence.of("queue_cleared")) != []
    assert (await bench.reaches(mine.id, JobState.CANCELLED)).reason == Sentence.of("queue_cleared")
    bench.engine.open.set()
    await bench.reaches(other.id, JobState.POSTING)


async def test_a_person_can_only_queue_so_much(bench: RealService) -> None:
    bench.engine.open.clear()
    for _ in range(5):
        await bench.imagine()
    with pytest.raises(QueueFull):
        await bench.imagine()
    await bench.imagine(who=requester(BEN))


async def test_going_on_from_a_picture_uses_its_saved_latent(bench: RealService) -> None:
    first = await bench.imagine(steps=3)
    await bench.post(first.id)
    submitted = await bench.service.submissions.go_on(
        requester(BEN), first.id, 1, FollowUp(kind=Origin.CONTINUE, steps=2)
    )
    assert (submitted.job.parent_id, submitted.job.parent_number, submitted.job.user_id) == (first.id, 1, BEN)
    await bench.post(submitted.job.id)
    again = await bench.service.submissions.go_on(requester(), submitted.job.id, 1, FollowUp(kind=Origin.AGAIN))
    await bench.post(again.job.id)
    assert again.job.parent_id == first.id
    assert pixels(bench, again.job.id) != pixels(bench, submitted.job.id)
    recipe = await bench.service.archive.request(requester(), submitted.job.id, 1)
    assert recipe.parent is not None
    assert recipe.parent.settings.steps == 3


async def test_a_picture_can_be_made_again_from_its_file(bench: RealService) -> None:
    first = await bench.imagine(seed=4)
    await bench.post(first.id)
    file = await bench.service.archive.file(requester(), first.id, 1, limit_bytes=10**7)
    again = await bench.service.submissions.again_from_file(requester(BEN, guild_id=7), file.data)
    await bench.reaches(again.job.id, JobState.POSTING)
    assert pixels(bench, again.job.id) == pixels(bench, first.id)
    other = await bench.service.submissions.again_from_file(requester(), file.data, new_seed=True)
    assert other.job.settings.seed != 4


async def test_again_warns_beforehand_about_possible_differences(bench: RealService) -> None:
    bench.engine.made_with = Provenance(device="cpu", threads=4, files={"vqgan.safetensors": "a" * 64})
    first = await bench.imagine()
    await bench.post(first.id)
    file = (await bench.service.archive.file(requester(), first.id, 1, limit_bytes=10**7)).data
    assert (await bench.service.submissions.again_from_file(requester(), file)).notes == ()
    bench.engine.made_with = Provenance(device="cpu", threads=2, files={"vqgan.safetensors": "b" * 64})
    said = [note.said() for note in (await bench.service.submissions.again_from_file(requester(), file)).notes]
    assert said == [
        f"Reverie {__version__} painted this picture with other models (vqgan.safetensors), which this version does "
        "not have; it will come out differently.",
        "The number of CPU threads was 4, here it is 2; the picture may differ a little.",
    ]
    german = [note.said("de") for note in (await bench.service.submissions.again_from_file(requester(), file)).notes]
    assert german[1] == "Die Zahl der CPU-Threads war 4, hier ist sie 2; das Bild kann leicht abweichen."
    assert (await bench.service.submissions.again_from_file(requester(), file, new_seed=True)).notes == ()


async def test_private_pictures_are_for_their_owner_only(bench: RealService) -> None:
    spec = JobSpec(prompt="secret", settings=QUICK, private=True)
    job = (await bench.service.submissions.submit(requester(), spec)).job
    (seen,) = await bench.service.queue(requester(BEN)) or [None]
    assert seen is None or seen.job.prompt == ""
    await bench.post(job.id)
    archive = bench.service.archive
    for look in (archive.job(requester(BEN), job.id), archive.recipe(requester(BEN), job.id)):
        with pytest.raises(NotFound):
            await look
    with pytest.raises(NotFound):
        await bench.service.submissions.go_on(requester(BEN), job.id, 1, FollowUp(kind=Origin.AGAIN))
    assert (await archive.gallery(requester(BEN), whose=Whose.SERVER)).total == 0
    assert (await archive.gallery(requester(), whose=Whose.SERVER)).total == 1
    assert (await bench.service.submissions.go_on(requester(), job.id, 1, FollowUp(kind=Origin.AGAIN))).job.private


async def test_a_deleted_job_is_gone_with_all_its_files_in_whatever_state(bench: RealService) -> None:
    done = await bench.imagine()
    await bench.post(done.id)
    bench.engine.hold(5)
    run, queued = await bench.imagine(**LONG), await bench.imagine(**LONG)
    await running(bench, run)
    for job in (done, run, queued):
        await bench.service.archive.delete(requester(), job.id)
        assert await bench.service.view(job.id) is None
    bench.engine.open.set()
    last = await bench.imagine()
    await bench.reaches(last.id, JobState.POSTING)
    assert bench.files.job_ids() == {last.id}


async def test_a_server_that_is_gone_is_forgotten(bench: RealService) -> None:
    admin = requester(manages=True)
    await bench.service.guilds.pause(admin)
    await bench.service.words.add_block(admin, "cat")
    job = await bench.imagine()
    await bench.service.guild_gone(GUILD)
    assert await bench.service.view(job.id) is None
    assert not await bench.service.guilds.paused(GUILD)
    assert await bench.service.words.blocklist(admin) == ()


async def test_a_failing_listener_disturbs_no_other(bench: RealService) -> None:
    def broken(job_id: int) -> None:
        raise ZeroDivisionError

    bench.service.watch(broken)
    job = await bench.imagine()
    await bench.reaches(job.id, JobState.POSTING)
    stop = bench.service.watch(broken)
    stop()


async def test_unsafe_pictures_are_hidden_refused_or_left_alone(bench: RealService) -> None:
    bench.engine.unsafe = True
    admin, post = requester(manages=True), bench.service.post
    hidden = await bench.imagine()
    await bench.reaches(hidden.id, JobState.POSTING)
    delivery = await post.begin(hidden.id, limit_bytes=10**7)
    assert delivery is not None
    assert delivery.spoiler
    open_one = await bench.imagine(who=requester(age_restricted=True))
    await bench.reaches(open_one.id, JobState.POSTING)
    delivery = await post.begin(open_one.id, limit_bytes=10**7)
    assert delivery is not None
    assert not delivery.spoiler
    await bench.service.guilds.set_safety(admin, mode=Safety.REFUSE)
    refused = await bench.imagine()
    failed = await bench.reaches(refused.id, JobState.FAILED)
    assert failed.reason is not None
    assert failed.reason.key == "refused_by_check"
    await bench.service.guilds.set_safety(admin, mode=Safety.OFF)
    await bench.reaches((await bench.imagine()).id, JobState.POSTING)
    assert files_of(bench, refused.id) == set()


async def test_a_trained_check_takes_the_place_of_the_perceptors_and_each_server_sets_its_certainty(
    bench: RealService,
) -> None:
    bench.engine.unsafe, bench.check = True, lambda _: 0.7
    service, admin = await bench.restart(), requester(manages=True)

    async def flagged() -> bool:
        job = await bench.imagine()
        await bench.reaches(job.id, JobState.POSTING)
        return (await service.store.jobs.pictures(job.id))[0].flagged

    assert await flagged()
    await service.guilds.set_safety(admin, certainty_percent=71)
    assert not await flagged()
    await service.guilds.set_safety(admin, certainty_percent=70, mode=Safety.REFUSE)
    refused = await bench.reaches((await bench.imagine()).id, JobState.FAILED)
    assert refused.reason == Sentence.of("refused_by_check")
    with pytest.raises(NotOwner):
        await service.guilds.set_safety(requester(), certainty_percent=1)


async def test_the_next_picture_is_begun_while_the_trained_check_looks_at_one(bench: RealService) -> None:
    begun_meanwhile = threading.Event()

    def check(_: Image.Image) -> float:
        assert begun_meanwhile.wait(60)
        return 0.0

    begin = bench.engine.begin

    def noticed(request: GenerationRequest, parent: bytes | None) -> FakeDream:
        if bench.engine.begun:
            begun_meanwhile.set()
        return begin(request, parent)

    bench.check, bench.engine.begin = check, noticed  # type: ignore[method-assign]
    await bench.restart()
    job = await bench.imagine()
    await bench.imagine("another")
    await bench.reaches(job.id, JobState.POSTING)


async def test_the_language_of_the_person_is_kept_for_later(bench: RealService) -> None:
    job = await bench.imagine(who=requester(locale="de"))
    stored = await bench.service.store.jobs.get(job.id)
    assert stored is not None
    assert stored.locale == "de"


async def test_unread_words_are_shown_at_once_and_generator_warnings_later(
    bench: RealService,
) -> None:
    bench.engine.hold(5)
    spec = JobSpec(prompt="a castle:2 | a sea...with ships", settings=QUICK | {"steps": 300})
    submitted = await bench.service.submissions.submit(requester(), spec)
    assert [note.key for note in submitted.notes[:2]] == ["note_towards", "note_towards"]
    assert "wird nicht gelesen: „with ships“" in submitted.notes[2].said("de")
    job = await running(bench, submitted.job)
    view = await bench.service.view(job.id)
    assert view is not None
    assert [warning.said() for warning in view.warnings][-1] == "This is a fake."
    await bench.service.cancel(requester(), job.id)


async def test_a_process_that_ends_without_a_word_loses_nothing(bench: RealService) -> None:
    bench.engine.step_s = 0.005
    bench.engine.hold(60)
    job, queued = await bench.imagine(steps=400), await bench.imagine("another")

    async def snapshotted() -> bool | None:
        return bench.files.read(Kind.SNAPSHOT, job.id, 1) is not None or None

    await until(snapshotted)
    await bench.crash()
    bench.engine.open.set()
    await bench.reaches(job.id, JobState.POSTING)
    await bench.reaches(queued.id, JobState.POSTING)
    assert len(bench.engine.resumed) == 1


async def test_a_finish_request_survives_a_process_that_ends_during_that_step(bench: RealService) -> None:
    bench.engine.step_s = 0.01
    bench.engine.hold(30, only=lambda request: request.settings.seed == 6)
    spec = JobSpec(prompt="x", settings=QUICK | {"steps": 60, "seed": 5}, count=4)
    job = (await bench.service.submissions.submit(requester(), spec)).job

    async def within_the_second() -> int | None:
        view = await bench.service.view(job.id)
        on_disk = bench.files.read(Kind.SNAPSHOT, job.id, 2) is not None
        return view.progress.step if view is not None and view.number == 2 and view.progress and on_disk else None

    requested_at = await until(within_the_second)
    await bench.service.finish_early(requester(), job.id)
    await bench.crash()
    bench.engine.open.set()
    await bench.post(job.id)
    first, second = await bench.service.archive.pictures(job.id)
    assert (first.steps, first.stopped_at) == (60, None)
    assert second.stopped_at is not None and second.stopped_at >= requested_at


async def test_a_job_under_which_the_process_ends_again_and_again_is_given_up(bench: RealService) -> None:
    bench.engine.open.clear()
    job = await bench.imagine()
    for _ in range(5):
        await bench.reaches(job.id, JobState.RUNNING)
        await bench.crash()
    failed = await bench.reaches(job.id, JobState.FAILED)
    assert failed.reason is not None
    assert failed.reason.key == "crashed_often"


async def test_files_whose_deletion_was_cut_short_go_at_the_next_start(bench: RealService) -> None:
    bench.files.write(Kind.PICTURE, 77, 1, b"left behind")
    job = await bench.imagine()
    await bench.reaches(job.id, JobState.POSTING)
    await bench.restart()
    assert bench.files.job_ids() == {job.id}


async def test_a_stop_before_a_worker_has_the_picture_begins_no_step(
    bench: RealService, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, let, read = threading.Event(), threading.Event(), bench.files.read

    def held(kind: Kind, job_id: int, number: int) -> bytes | None:
        reading.set()
        let.wait()
        return read(kind, job_id, number)

    monkeypatch.setattr(bench.files, "read", held)
    job = await bench.imagine()
    await asyncio.to_thread(reading.wait)
    stopping = asyncio.create_task(bench.service.drain())
    await asyncio.sleep(0)
    let.set()
    await stopping
    assert not bench.engine.begun
    await bench.reaches(job.id, JobState.QUEUED)
