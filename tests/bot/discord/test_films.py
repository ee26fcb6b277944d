"""Films in a channel: the command, the button below a picture, the film's message, and both after a restart."""

from __future__ import annotations

import re
from pathlib import Path

from bot.files import DataFolder, Kind
from generator import OutOfMemory
from tests.bot.discord.client_on_loopback import ClientOnLoopback
from tests.discord_fake import Interaction, Upload
from tests.videos import video

QUICK = {"size": "64x64", "seconds": 1.0, "fps": 8}


async def typed(live: ClientOnLoopback, name: str, **options: object) -> Interaction:
    """Ann types a command; return it once it is answered."""
    return await (await live.fake.type_command(live.channel, live.ann, name, **options)).answered()


async def test_a_film_is_posted_as_one_file_with_the_buttons_of_a_film(live: ClientOnLoopback) -> None:
    story = "0s: a red apple ^ 0.5s: a castle"
    answer = await typed(live, "film", prompt=story, template="pan", zoom="2", **QUICK)
    await live.ended()
    message = answer.message
    assert message is not None
    (file,) = message.attachments
    assert (file.filename, file.content_type) == ("reverie-1.mp4", "video/mp4")
    assert file.data == DataFolder(live.folder).read(Kind.FILM, 1, 1)
    assert "a red apple" in (file.description or "")
    shown = f"{message.embeds} {message.components}"
    assert "1 s, 8 frames" in shown
    actions = set(re.findall(r"reverie:(\w+):1:1", shown))
    assert actions >= {"again", "heart", "recipe"} and not actions & {"vary", "continue", "remix", "upscale", "film"}


async def test_the_button_below_a_picture_makes_a_film_that_begins_with_it(live: ClientOnLoopback) -> None:
    answer = await live.imagine()
    await live.ended()
    assert answer.message is not None
    made = await (await live.fake.press(answer.message, "reverie:film", live.ann)).answered()
    job = await live.job(2)
    assert (job.film_s, job.parent_id) == (4.0, 1)
    await live.ended(2)
    assert made.message is not None
    assert made.message.attachments[0].filename == "reverie-2.mp4"


async def test_a_film_that_fails_is_shown_so_far_with_a_button_for_the_rest(live: ClientOnLoopback) -> None:
    live.engine.faults_at[3] = OutOfMemory("full")
    answer = await typed(live, "film", prompt="a red apple", **QUICK)
    await live.ended()
    message = answer.message
    assert message is not None and message.attachments[0].filename == "reverie-1.mp4"
    shown = f"{message.embeds} {message.components}"
    assert "The film ended after 3 of 8 frames. The picture does not fit into the memory" in shown
    await (await live.fake.press(message, "reverie:continue:1", live.ann)).answered()
    job = await live.ended(2)
    assert (job.film_s, job.film_done_s, live.engine.resumed[-1]) == (1.0, 3 / 8, 3)


async def test_a_video_is_attached_and_one_that_is_broken_is_told_privately(
    live: ClientOnLoopback, tmp_path: Path
) -> None:
    whole = video(tmp_path / "cat.mp4").read_bytes()
    answer = await typed(live, "film", prompt="a castle", video=Upload("cat.mp4", whole))
    await live.ended()
    assert answer.message is not None and answer.message.attachments[0].filename == "reverie-1.mp4"
    assert "0.5 s, 5 frames" in f"{answer.message.embeds} {answer.message.components}"
    answer = await typed(live, "film", prompt="a castle", video=Upload("cat.mp4", whole[:500]))
    await live.fake.until(lambda: answer.ephemeral or answer.followups)
    assert "cat.mp4 cannot be read as a film" in answer.text + "".join(item.said() for item in answer.followups)
    await live.fake.until(lambda: len(live.channel.visible()) == 1)  # nobody else sees it


async def test_a_mistake_in_a_film_is_told_privately(live: ClientOnLoopback) -> None:
    for values, said in (({"zoom": "0s: 1 ^ 9s: 2"}, "the film ends after 1 s"), ({"turn": "fast"}, "write keyframes")):
        answer = await typed(live, "film", prompt="a", **{**QUICK, **values})
        assert answer.ephemeral and said in answer.text
    answer = await typed(live, "morph", prompt="a red apple", seeds="1")
    assert answer.ephemeral and "at least two seeds" in answer.text
    answer = await typed(live, "morph", first="one", second="2")
    assert answer.ephemeral and "is no picture's number" in answer.text
    assert live.channel.visible() == []


async def test_a_film_goes_through_the_seeds_of_a_prompt(live: ClientOnLoopback) -> None:
    await typed(live, "morph", prompt="a red apple --size 64x64", seeds="1, 5,9", seconds=1.5)
    job = await live.ended()
    request = live.engine.begun[-1]
    assert (job.film_s, request.prompt) == (1.5, "a red apple ^ a red apple ^ a red apple")
    assert [(picture.settings.seed, picture.prompt) for picture in request.pictures] == [
        (1, "a red apple"), (5, "a red apple"), (9, "a red apple"),
    ]  # fmt: skip
