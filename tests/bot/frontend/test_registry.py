"""Queue, gallery, recipes, blending, styles, help and privacy; and single registration of the commands."""

from __future__ import annotations

import io
import json
import re
import zipfile

from PIL import Image

from bot.jobs import JobState, Origin
from tests.bot.frontend.client_in_simcord import ClientInSimcord, reply_of
from tests.bot.frontend.commands.test_imagine import png


async def test_queue_shows_running_and_waiting_jobs(stage: ClientInSimcord) -> None:
    reply = reply_of(await stage.ann.slash(stage.channel, "queue"))
    assert reply.content == "No jobs are running or waiting in this server."
    stage.engine.open.clear()
    await stage.ann.slash(stage.channel, "imagine", prompt="a **red** apple")
    await stage.bob.slash(stage.channel, "imagine", prompt="a secret", private=True)
    reply = reply_of(await stage.ann.slash(stage.channel, "queue"))
    text = reply.embeds[0].description or ""
    assert "🎨" in text and "a \\*\\*red\\*\\* apple" in text
    assert "**1.** 🔒" in text and "secret" not in text


async def test_cancel_takes_the_newest_job_or_the_one_that_is_named(stage: ClientInSimcord) -> None:
    assert "You have no unfinished jobs" in reply_of(await stage.ann.slash(stage.channel, "cancel")).content
    stage.engine.open.clear()
    for prompt in ("one", "two", "three"):
        await stage.ann.slash(stage.channel, "imagine", prompt=prompt)
    offered = await stage.ann.autocomplete(stage.channel, "cancel", "job", "tw")
    assert offered == [{"name": "#2 · two", "value": 2}]
    assert "Cancelled job 3" in reply_of(await stage.ann.slash(stage.channel, "cancel")).content
    assert "Cancelled job 2" in reply_of(await stage.ann.slash(stage.channel, "cancel", job=2)).content
    refused = await stage.bob.slash(stage.channel, "cancel", job=1)
    assert "Only the person who requested it" in reply_of(refused).content


async def test_gallery_turns_pages_and_opens_pictures(stage: ClientInSimcord) -> None:
    assert "no pictures here yet" in (
        reply_of(await stage.ann.slash(stage.channel, "gallery")).embeds[0].description or ""
    )
    await stage.finished_job("a red apple", count=4)
    await stage.finished_job("a green pear", count=4)
    await stage.finished_job("a blue plum", count=4)
    page = reply_of(await stage.bob.slash(stage.channel, "gallery", whose="server"))
    (sheet,) = page.attachments
    with Image.open(io.BytesIO(await sheet.read())) as image:
        assert image.size == (3 * 256 + 8, 3 * 256 + 8)
    assert (page.embeds[0].description or "").splitlines()[0] == "**1.** a blue plum · ann · #3"
    await stage.bob.click(page, label="▶")
    assert page.embeds[0].footer.text == "Page 2 of 2 · 12 in all"
    assert len(page.attachments) == 1
    opened = reply_of(await stage.bob.select(page, ["1:4"], custom_id="reverie-open"))
    assert opened.attachments[0].filename == "reverie-1-4.png"
    mine = reply_of(await stage.bob.slash(stage.channel, "gallery", whose="mine"))
    assert "no pictures here yet" in (mine.embeds[0].description or "")


async def test_a_gallery_names_people_whom_only_discord_knows_and_mentions_nobody(stage: ClientInSimcord) -> None:
    await stage.finished_job()
    gone = stage.guild.add_member(stage.env.create_user("carl"))
    await gone.slash(stage.channel, "imagine", prompt="a yellow car")
    await stage.ended(2)
    stage.env.inject_error("GET", f"/guilds/*/members/{gone.id}", status=404, code=10007, times=None)
    page = reply_of(await stage.bob.slash(stage.channel, "gallery", whose="server"))
    lines = (page.embeds[0].description or "").splitlines()
    assert lines == ["**1.** a yellow car · somebody who left · #2", "**2.** a red apple · ann · #1"]


async def test_a_gallery_is_searched_by_words_also_on_its_further_pages(stage: ClientInSimcord) -> None:
    for prompt in ("a red apple", "a Green APPLE", "a pear"):
        await stage.finished_job(prompt, count=4)
    await stage.finished_job("100 % apple_juice: red", count=4)
    page = reply_of(await stage.ann.slash(stage.channel, "gallery", search="apple"))
    assert page.embeds[0].footer.text == "Page 1 of 2 · 12 in all"
    await stage.ann.click(page, label="▶")
    assert (page.embeds[0].description or "").splitlines()[-1] == "**3.** a red apple · ann · #1"
    for search, total in (("apple red", 8), ("e_j", 4), ("%", 4), ("plum", 0)):
        page = reply_of(await stage.ann.slash(stage.channel, "gallery", search=search))
        assert (page.embeds[0].footer.text or "").endswith(f"{total} in all"), search
    assert page.embeds[0].description == "No prompt contains these words."


async def test_a_heart_adds_a_picture_to_the_favourites_and_takes_it_back(stage: ClientInSimcord) -> None:
    message = await stage.finished_job(count=2)
    added = reply_of(await stage.click_more(stage.bob, message, "♥2"))
    assert "Picture 2 of job 1 is one of your favourites now" in added.content
    single = await stage.finished_job("a pear")
    await stage.bob.click(single, label="Favourite")
    page = reply_of(await stage.bob.slash(stage.channel, "gallery", whose="favourites"))
    assert page.embeds[0].footer.text == "Page 1 of 1 · 2 in all"
    opened = reply_of(await stage.bob.select(page, ["1:2"], custom_id="reverie-open"))
    assert opened.attachments[0].filename == "reverie-1-2.png"
    mine = reply_of(await stage.ann.slash(stage.channel, "gallery", whose="favourites"))
    assert "Press ❤️ below a picture" in (mine.embeds[0].description or "")
    await stage.bob.click(single, label="Favourite")
    await stage.service.archive.delete(stage.requester(stage.ann), 1)
    page = reply_of(await stage.bob.slash(stage.channel, "gallery", whose="favourites"))
    assert page.embeds[0].footer.text == "Page 1 of 1 · 0 in all"


async def test_a_gallery_shows_the_rest_where_a_file_is_missing(stage: ClientInSimcord) -> None:
    await stage.finished_job("a red apple", count=2)
    (picture,) = stage.folder.rglob("*-1.png")
    picture.unlink()
    page = reply_of(await stage.ann.slash(stage.channel, "gallery"))
    assert (page.embeds[0].description or "").splitlines()[-1] == "*Files are missing: 1*"
    assert len(page.attachments) == 1


async def test_a_recipe_file_makes_the_same_picture_again(stage: ClientInSimcord) -> None:
    message = await stage.finished_job(seed=5)
    reply = reply_of(await stage.bob.slash(stage.channel, "recipe", job=1))
    recipe = await reply.attachments[0].read()
    await stage.bob.slash(stage.channel, "again", file=("recipe.json", recipe))
    await stage.ended(2)
    assert await stage.message().attachments[0].read() == await message.attachments[0].read()


async def test_a_picture_carries_its_recipe_to_again(stage: ClientInSimcord) -> None:
    message = await stage.finished_job(seed=5)
    picture = await message.attachments[0].read()
    await stage.bob.slash(stage.channel, "again", file=("apple.png", picture), new_seed=True)
    job = await stage.ended(2)
    assert job.origin is Origin.FILE and job.settings.seed != 5
    refused = await stage.bob.slash(stage.channel, "again", file=("plain.png", png()))
    assert "recipe" in reply_of(refused).content


async def test_show_recipe_of_a_message(stage: ClientInSimcord) -> None:
    message = await stage.finished_job()
    reply = reply_of(await stage.bob.context_menu(stage.channel, "Show recipe", message))
    assert (reply.embeds[0].title or "") == "Recipe of job 1"
    other = await stage.ann.send(stage.channel, "hello")
    refused = await stage.bob.context_menu(stage.channel, "Show recipe", other)
    assert "shows no job" in reply_of(refused).content


async def test_imagine_like_a_picture_in_a_message(stage: ClientInSimcord) -> None:
    message = await stage.ann.send(stage.channel, "look", attachments=[("mine.png", png())])
    modal = await stage.bob.context_menu(stage.channel, "Imagine like this", message)
    await stage.bob.submit_modal(modal, {"prompt": "a fox", "use": ["prompt"]})
    await stage.ended(1)
    assert len(stage.engine.begun[0].image_prompts) == 1
    modal = await stage.bob.context_menu(stage.channel, "Imagine like this", message)
    await stage.bob.submit_modal(modal, {"prompt": "a fox", "use": ["init"]})
    await stage.ended(2)
    assert stage.engine.begun[1].settings.start == "init"
    modal = await stage.bob.context_menu(stage.channel, "Imagine like this", stage.message())
    await stage.bob.submit_modal(modal, {"prompt": "a fox", "use": ["init"]})
    assert (await stage.ended(3)).source_id == 2
    plain = await stage.ann.send(stage.channel, "no picture")
    refused = await stage.bob.context_menu(stage.channel, "Imagine like this", plain)
    assert "has no PNG" in reply_of(refused).content


async def test_blend_comes_near_to_several_pictures(stage: ClientInSimcord) -> None:
    await stage.ann.slash(stage.channel, "blend", first=("a.png", png()), second=("b.png", png(40, 20)), size="64x32")
    job = await stage.ended(1)
    assert job.origin is Origin.BLEND
    assert len(stage.engine.begun[0].image_prompts) == 2
    listed = reply_of(await stage.ann.slash(stage.channel, "gallery"))
    assert "**1.** *no prompt* · " in (listed.embeds[0].description or "")
    (menu, *_) = (item for row in listed.components for item in row["components"] if item["type"] == 3)
    assert menu["options"][0]["label"] == "1. no prompt"


async def test_styles_are_listed_for_all_and_changed_by_admins(stage: ClientInSimcord) -> None:
    refused = await stage.ann.slash(stage.channel, "styles add", name="night", text="at night")
    assert "Only someone who manages the server" in reply_of(refused).content
    await stage.admin.slash(stage.channel, "styles add", name="night", text="at night:0.5")
    listed = reply_of(await stage.ann.slash(stage.channel, "styles list"))
    assert "**night**: at night\\:0.5" in (listed.embeds[0].description or "")
    await stage.admin.slash(stage.channel, "styles remove", name="night")
    again = reply_of(await stage.admin.slash(stage.channel, "styles remove", name="night"))
    assert "There is no style “night”" in again.content
    assert "no styles yet" in (
        reply_of(await stage.ann.slash(stage.channel, "styles list")).embeds[0].description or ""
    )
    broken = await stage.admin.slash(stage.channel, "styles add", name="story", text="one ^ two")
    assert "cannot contain a story" in reply_of(broken).content


async def test_help_and_about_answer_in_words(stage: ClientInSimcord) -> None:
    assert "/imagine" in (reply_of(await stage.ann.slash(stage.channel, "help")).embeds[0].description or "")
    assert "VQGAN+CLIP" in (reply_of(await stage.ann.slash(stage.channel, "about")).embeds[0].description or "")


async def test_privacy_hands_out_and_deletes(stage: ClientInSimcord) -> None:
    await stage.finished_job("a red apple")
    reply = reply_of(await stage.ann.slash(stage.channel, "privacy"))
    assert "deleted after 90 days" in reply.content
    exported = reply_of(await stage.ann.click(reply, label="Export my data"))
    with zipfile.ZipFile(io.BytesIO(await exported.attachments[0].read())) as archive:
        assert "pictures/1-1.png" in archive.namelist()
        assert json.loads(archive.read("data.json"))["jobs"][0]["prompt"] == "a red apple"
    asked = reply_of(await stage.ann.click(reply, label="Delete my data"))
    await stage.ann.click(asked, label="Delete all my data permanently")
    assert await stage.service.store.jobs.get(1) is None


async def test_commands_are_synced_only_when_they_changed(stage: ClientInSimcord) -> None:
    await stage.restart()
    puts = [request for request in stage.env.http_requests if request.method == "PUT"]
    assert len(puts) == 1


async def test_commands_come_in_german_too(stage: ClientInSimcord) -> None:
    (put,) = [request for request in stage.env.http_requests if request.method == "PUT"]
    imagine = next(command for command in put.json if command["name"] == "imagine")
    assert imagine["description_localizations"]["de"] == "Malt ein Bild aus Worten"
    steps = next(option for option in imagine["options"] if option["name"] == "steps")
    assert (steps["min_value"], steps["max_value"]) == (1, 5_000)
    assert len(imagine["options"]) <= 25


async def test_an_interrupted_picture_goes_on_after_a_restart_in_the_same_message(stage: ClientInSimcord) -> None:
    stage.engine.hold(50)
    await stage.ann.slash(stage.channel, "imagine", prompt="a red apple", steps=100)

    async def running() -> bool:
        return re.search(r"step \u2007*[1-9]", stage.said()) is not None

    await stage.until(running)
    await stage.stop()
    stage.engine.open.set()
    assert stage.said().startswith("**Interrupted**: the bot is restarting")
    await stage.restart()
    job = await stage.ended(1)
    assert job.state is JobState.DONE
    assert stage.engine.resumed and stage.engine.resumed[0] > 0
    assert len(stage.channel.history()) == 1
