"""Films as jobs: quota by seconds, previews as a loop, resumption from the last frame, an early end, a file."""

from __future__ import annotations

import hashlib
import sys
import zipfile
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import av
import pytest
from PIL import Image

from bot.errors import InvalidJobSpec, NotFound, OverLimit, Refused, TooSoon
from bot.files import Kind
from bot.jobs import Job, JobState, Origin
from bot.service import FileInput, FollowUp, JobSpec, Safety
from bot.service.job_runner import MAX_CRASHES
from generator import FilmPlan, GenerationRequest, OutOfMemory, read_recipe, request_to_json
from tests.bot.real_service import QUICK, RealService, requester, until
from tests.videos import music, video


async def film(bench: RealService, prompt: str = "a red apple", **values: object) -> Job:
    spec = JobSpec(
        prompt=prompt, settings=QUICK, film={"seconds": 1.0, "fps": 8, "frame_steps": 1, **values}, origin=Origin.FILM
    )
    return (await bench.service.submissions.submit(requester(), spec)).job


async def frames_are_gone(bench: RealService, job_id: int) -> None:
    """Wait until the frames are removed, which follows the end of a job."""

    async def gone() -> bool | None:
        return not bench.files.frames(job_id).exists() or None

    await until(gone)


async def test_a_film_is_made_and_its_file_carries_the_recipe(bench: RealService) -> None:
    service = bench.service
    job = await film(bench, "0s: a red apple ^ 0.5s: a castle", template="pan", zoom="2")
    assert (job.film_s, job.count, job.settings.steps) == (1.0, 1, 8)
    await bench.reaches(job.id, JobState.POSTING)
    delivery = await service.post.begin(job.id, limit_bytes=10**7)
    assert delivery is not None
    (file,) = delivery.files
    assert file.name == f"reverie-{job.id}.mp4"
    request = read_recipe(file.data).request
    assert request.prompt == "a red apple ^ a castle"
    assert request.film is not None and request.film.times == (0, 0.5) and request.film.zoom.keys[-1] == (1.0, 2.0)
    assert not bench.files.frames(job.id).exists(), "the frames are gone"
    assert bench.files.read(Kind.PICTURE, job.id, 1), "the gallery shows its last frame"


async def test_a_film_goes_on_from_its_last_frame_after_a_crash(bench: RealService) -> None:
    whole = await film(bench, "a red apple --seed 3")
    await bench.reaches(whole.id, JobState.POSTING)
    expected = bench.files.read(Kind.FILM, whole.id, 1)
    bench.engine.hold(5)
    job = await film(bench, "a red apple --seed 3")

    async def begun() -> bool | None:
        return len(list(bench.files.frames(job.id).glob("frame-*"))) >= 3 or None

    await until(begun)
    await bench.crash()
    bench.engine.open.set()
    await bench.reaches(job.id, JobState.POSTING)
    assert bench.engine.resumed[-1] >= 3, "it went on instead of beginning again"
    assert bench.files.read(Kind.FILM, job.id, 1) == expected


async def test_a_film_finished_early_keeps_its_frames_and_shows_the_newest_as_a_loop(bench: RealService) -> None:
    service = bench.service
    bench.engine.step_s = 0.05
    bench.engine.hold(12)
    job = await film(bench, seconds=4.0)

    async def shows_a_loop() -> bytes | None:
        view = await service.view(job.id)
        return view.preview.data if view and view.preview and view.preview.ending == "webp" else None

    with Image.open(BytesIO(await until(shows_a_loop))) as loop:
        assert loop.n_frames > 1 and loop.info["loop"] == 0
    await service.finish_early(requester(), job.id)
    bench.engine.open.set()
    await bench.reaches(job.id, JobState.POSTING)
    (picture,) = await service.archive.pictures(job.id)
    assert picture.stopped_at is not None and 2 <= picture.stopped_at < 32
    request = read_recipe(bench.files.read(Kind.FILM, job.id, 1) or b"").request
    assert request.stopped_at == picture.stopped_at


async def test_seconds_of_film_count_as_pictures_of_the_day(bench: RealService) -> None:
    config = bench.config
    bench.config = replace(config, limits=replace(config.limits, daily=5))
    await bench.restart()
    await film(bench, seconds=3.0)
    with pytest.raises(TooSoon) as caught:
        await film(bench, seconds=2.5)
    assert caught.value.sentence.key == "quota_spent"
    await film(bench, seconds=2.0)


async def test_a_film_longer_than_the_server_allows_is_refused_and_mistakes_are_told(bench: RealService) -> None:
    service = bench.service
    with pytest.raises(OverLimit) as long:
        await film(bench, seconds=100.0)
    assert dict(long.value.sentence.values)["seconds"] == 75
    for values in ({"template": "explode"}, {"zoom": "0s: 1 ^ 9s: 2"}, {"turn": "fast"}):
        with pytest.raises(Refused):
            await film(bench, **values)
    assert await service.mine(requester()) == []


async def test_a_film_begins_with_a_finished_picture_and_is_only_made_again(bench: RealService) -> None:
    service = bench.service
    job = await bench.imagine(seed=7)
    await bench.post(job.id)
    made = (await service.submissions.go_on(requester(), job.id, 1, FollowUp(kind=Origin.FILM))).job
    assert made.origin is Origin.FILM and (made.parent_id, made.film_s) == (job.id, 4.0)
    await bench.post(made.id)
    request = await service.archive.request(requester(), made.id)
    assert request.film is not None and request.film.from_start
    assert request.parent is not None and request.parent.settings.seed == 7
    with pytest.raises(InvalidJobSpec) as caught:
        await service.submissions.go_on(requester(), made.id, 1, FollowUp(kind=Origin.VARY))
    assert caught.value.sentence.key == "film_only_again"
    again = (await service.submissions.go_on(requester(), made.id, 1, FollowUp(kind=Origin.AGAIN))).job
    assert again.film_s == 4.0


async def test_frames_of_a_deleted_film_are_removed(bench: RealService) -> None:
    service = bench.service
    bench.engine.hold(3)
    job = await film(bench, seconds=4.0)

    async def begun() -> bool | None:
        return bench.files.frames(job.id).exists() or None

    await until(begun)
    await service.cancel(requester(), job.id)
    bench.engine.open.set()
    await bench.reaches(job.id, JobState.CANCELLED)

    await frames_are_gone(bench, job.id)


async def test_a_film_goes_from_finished_picture_to_finished_picture(bench: RealService) -> None:
    service = bench.service
    one, two = await bench.imagine("a red apple", seed=1), await bench.imagine("a castle", seed=2)
    await bench.post(one.id)
    await bench.post(two.id, 10)
    job = (await service.submissions.morph(requester(), [(one.id, 1), (two.id, 1)], {"seconds": 1.0})).job
    request = await service.archive.request(requester(), job.id)
    assert (request.prompt, job.film_s, job.origin) == ("a red apple ^ a castle", 1.0, Origin.FILM)
    assert [picture.settings.seed for picture in request.pictures] == [1, 2]
    with pytest.raises(NotFound):
        await service.submissions.morph(requester(), [(one.id, 1), (two.id, 3)], {})
    with pytest.raises(InvalidJobSpec):
        await service.submissions.morph(requester(), [(one.id, 1)], {})


async def film_that_fails(bench: RealService, fault: Exception, after: int = 3, **values: object) -> Job:
    """A film of 8 frames whose worker raises an error after some of them; return it as it ended."""
    bench.engine.faults_at[after] = fault
    job = await film(bench, "a red apple --seed 3", **values)
    return await bench.reaches(job.id, JobState.POSTING, JobState.FAILED)


async def test_a_film_that_fails_keeps_its_frames_and_the_rest_can_be_made(bench: RealService) -> None:
    service = bench.service
    whole = await film(bench, "a red apple --seed 3")
    await bench.reaches(whole.id, JobState.POSTING)
    await service.post.done(whole.id, 1, 1)
    job = await film_that_fails(bench, OutOfMemory("full"))
    assert job.state is JobState.POSTING
    (picture,) = await service.archive.pictures(job.id)
    assert (picture.stopped_at, picture.warnings[0].key) == (3, "film_ended")
    assert "does not fit into the memory" in picture.warnings[0].said()
    assert read_recipe(bench.files.read(Kind.FILM, job.id, 1) or b"").request.stopped_at == 3
    await bench.post(job.id)
    bench.engine.resumed.clear()
    rest = (await service.submissions.go_on(requester(), job.id, 1, FollowUp(kind=Origin.CONTINUE))).job
    assert (rest.film_s, rest.quota, rest.source_id) == (1.0, 1, job.id)
    await bench.reaches(rest.id, JobState.POSTING)
    assert bench.engine.resumed == [3], "it went on instead of beginning again"
    assert bench.files.read(Kind.FILM, rest.id, 1) == bench.files.read(Kind.FILM, whole.id, 1)
    assert not bench.files.frames(rest.id).exists()
    with pytest.raises(InvalidJobSpec):
        await service.submissions.go_on(requester(), rest.id, 1, FollowUp(kind=Origin.CONTINUE))


async def test_a_film_without_two_frames_fails_as_a_picture_does(bench: RealService) -> None:
    job = await film_that_fails(bench, OutOfMemory("full"), after=1)
    assert job.state is JobState.FAILED and job.reason is not None and job.reason.key == "out_of_memory"
    await frames_are_gone(bench, job.id)


async def test_frames_of_a_film_that_failed_are_looked_at_before_they_are_shown(bench: RealService) -> None:
    await bench.service.guilds.set_safety(requester(manages=True), mode=Safety.REFUSE)
    bench.engine.unsafe = True
    job = await film_that_fails(bench, OutOfMemory("full"))
    assert job.state is JobState.FAILED and job.reason is not None and job.reason.key == "refused_by_check"


async def test_a_film_during_which_the_bot_crashes_again_and_again_ends_with_its_frames(bench: RealService) -> None:
    bench.engine.open.clear()
    job = await film(bench)
    await bench.reaches(job.id, JobState.RUNNING)
    folder = bench.files.frames(job.id)
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(3):
        Image.new("RGB", (64, 64)).save(folder / f"frame-{number:05}.png")
    await bench.service.store.jobs.change(job.id, attempts=MAX_CRASHES)
    await bench.crash()
    await bench.reaches(job.id, JobState.POSTING)
    bench.engine.open.set()
    (picture,) = await bench.service.archive.pictures(job.id)
    assert picture.stopped_at == 3 and "crashed several times" in picture.warnings[0].said()


def attached(path: Path) -> FileInput:
    return FileInput(data=path.read_bytes(), name=path.name)


def spec_of(**values: object) -> JobSpec:
    settings = {"steps": 4, "cutouts": 4}
    return JobSpec(**{"prompt": "a castle", "settings": settings, "film": {}, "origin": Origin.FILM, **values})


async def test_a_video_is_restyled_in_its_timing_and_with_its_sound_and_again(
    bench: RealService, tmp_path: Path
) -> None:
    service = bench.service
    spec = spec_of(video=attached(video(tmp_path / "cat.mp4")))
    job = (await service.submissions.submit(requester(), spec)).job
    await bench.post(job.id)
    request = await service.archive.request(requester(), job.id)
    plan = request.film
    assert plan is not None and (plan.seconds, plan.fps, plan.carry, plan.source) == (
        0.5, 10, 0.3, hashlib.sha256(spec.video.data).hexdigest() if spec.video else "",
    )  # fmt: skip
    size = job.settings.size
    assert size.width / size.height == pytest.approx(1.5, abs=0.1), "it has the video's shape"
    with av.open(BytesIO(bench.files.read(Kind.FILM, job.id, 1) or b"")) as film:
        assert film.streams.audio and film.streams.video[0].frames == 5
    assert set(bench.engine.found[0]) >= {"source-00000.png", "source-00004.png", "sound"}
    again = (await service.submissions.go_on(requester(), job.id, 1, FollowUp(kind=Origin.AGAIN))).job
    assert bench.files.read(Kind.VIDEO, again.id, 1) == spec.video.data if spec.video else b""
    exported = await service.personal_data.export_mine(requester(), limit_bytes=10**7)
    with zipfile.ZipFile(exported) as archive:
        assert archive.read(f"films/video-{job.id}") == bench.files.read(Kind.VIDEO, job.id, 1)
    await service.archive.delete(requester(), job.id)
    assert bench.files.read(Kind.VIDEO, job.id, 1) is None


async def test_a_film_follows_its_music_and_has_it(bench: RealService, tmp_path: Path) -> None:
    given = {"seconds": 1.0, "fps": 8, "listen_to": "bass", "pulse_turn": 20.0}
    spec = spec_of(music=attached(music(tmp_path / "song.wav")), film=given)
    job = (await bench.service.submissions.submit(requester(), spec)).job
    await bench.reaches(job.id, JobState.POSTING)
    request = await bench.service.archive.request(requester(), job.id)
    assert request.film is not None and request.film.pulse_turn == 20
    assert len(request.film.pulse) == 8 and request.film.pulse[4] > 0.9
    with av.open(BytesIO(bench.files.read(Kind.FILM, job.id, 1) or b"")) as film:
        assert film.streams.audio


async def test_a_video_longer_than_the_server_allows_is_cut_unless_its_length_was_chosen(
    bench: RealService, tmp_path: Path
) -> None:
    bench.config = replace(bench.config, limits=replace(bench.config.limits, steps=10))
    await bench.restart()
    submit = bench.service.submissions.submit
    spec = spec_of(video=attached(video(tmp_path / "cat.mp4", pictures=15, sound=False)), film={"frame_steps": 1})
    submitted = await submit(requester(), spec)
    assert submitted.job.film_s == 1.0
    assert "its first 1 s are restyled" in " ".join(note.said() for note in submitted.notes)
    with pytest.raises(OverLimit):
        await submit(requester(), replace(spec, film={"frame_steps": 1, "seconds": 1.5}))


async def test_what_is_no_video_or_no_music_is_told_by_its_name(bench: RealService, tmp_path: Path) -> None:
    broken = FileInput(data=b"no film at all", name="cat.mp4")
    silent = attached(music(tmp_path / "song.wav", loudness=0.0))
    whole = attached(video(tmp_path / "dog.mp4", sound=False))
    for values, field, said in (
        ({"video": broken}, "video", "cat.mp4 cannot be read as a film"),
        ({"music": silent}, "music", "song.wav is silent"),
        ({"music": whole}, "music", "dog.mp4 has no sound"),
        ({"video": whole, "init_image": b"a picture"}, "video", "leave out video or init_image"),
    ):
        with pytest.raises(InvalidJobSpec) as refused:
            await bench.service.submissions.submit(requester(), spec_of(**values))
        assert refused.value.field == field and said in refused.value.sentence.said()
    assert not list(bench.files.root.glob(".*.part")) and await bench.service.mine(requester()) == []


async def test_a_film_without_its_video_is_refused(bench: RealService) -> None:
    recipe = GenerationRequest(prompt="a", film=FilmPlan(source="0" * 64), models=bench.config.model_name)
    with pytest.raises(InvalidJobSpec) as refused:
        await bench.service.submissions.again_from_file(requester(), request_to_json(recipe).encode())
    assert refused.value.sentence.key == "film_without_video"


async def test_a_film_that_is_too_long_for_the_channel_comes_in_parts(bench: RealService) -> None:
    bench.service.upload_bytes = lambda guild_id: 4_150
    job = await film(bench)
    await bench.reaches(job.id, JobState.POSTING)
    delivery = await bench.service.post.begin(job.id, limit_bytes=10**7)
    assert delivery is not None and not delivery.left_out
    assert [file.name for file in delivery.files] == [f"reverie-{job.id}.mp4", f"reverie-{job.id}-2.mp4"]
    frames = 0
    for file in delivery.files:
        with av.open(BytesIO(file.data)) as part:
            frames += part.streams.video[0].frames
    assert frames == 8
    smaller = await bench.service.post.begin(job.id, limit_bytes=100)
    assert smaller is not None and smaller.left_out[0].said() == "Of the film, 0 of 2 parts fit into the message."


async def test_without_pyav_a_film_is_a_webp_and_its_message_says_so(
    bench: RealService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    job = await film(bench)
    await bench.reaches(job.id, JobState.POSTING)
    delivery = await bench.service.post.begin(job.id, limit_bytes=10**7)
    assert delivery is not None and delivery.files[0].name == f"reverie-{job.id}.webp"
    assert "an animated WebP without sound" in delivery.pictures[0].warnings[0].said()
    with Image.open(BytesIO(delivery.files[0].data)) as shown:
        assert shown.n_frames == 8
