"""/imagine: answers, refusals, and the message of a job from its first text to its picture."""

from __future__ import annotations

import re
from dataclasses import replace
from io import BytesIO

import discord
import pytest
from PIL import Image

from bot.config import Config, ModelSets
from bot.frontend.messages.component_tree import walk
from bot.frontend.messages.render import shown
from bot.frontend.messages.updater import QUEUE_S
from bot.jobs import JobState
from bot.service import JobSpec, Requester
from tests.bot.frontend.client_in_simcord import ClientInSimcord, reply_of, said
from tests.bot.real_service import until
from tests.discord_fake.markdown import read


def png(width: int = 32, height: int = 32) -> bytes:
    out = BytesIO()
    Image.new("RGB", (width, height), "red").save(out, "PNG")
    return out.getvalue()


async def refusal(stage: ClientInSimcord, **options: object) -> str:
    """Return the refusal of /imagine; nothing was queued."""
    answer = await stage.ann.slash(stage.channel, "imagine", **{"prompt": "a red apple", **options})
    reply = answer.response or answer.followups[0]
    assert reply.ephemeral
    assert not await stage.service.store.jobs.under_way()
    return str(reply.content)


def due(message: discord.Message) -> int:
    """Return the completion time shown by a message."""
    found = re.search(r"done <t:(\d+):R>", said(message))
    assert found is not None, said(message)
    return int(found[1])


async def test_a_request_is_answered_at_once_and_ends_as_a_picture_in_the_same_message(stage: ClientInSimcord) -> None:
    stage.engine.open.clear()
    answer = await stage.ann.slash(stage.channel, "imagine", prompt="a red apple")
    assert answer.response is not None and not answer.response.ephemeral
    first = answer.response.id
    assert said(answer.response).startswith(("**Queued", "**Painting"))
    stage.engine.open.set()
    await stage.ended()
    posted = stage.message()
    assert posted.id == first
    assert said(posted).startswith("**Done**")
    assert [file.filename for file in posted.attachments] == ["reverie-1-1.png"]
    assert posted.attachments[0].description == "AI-generated picture for the prompt: a red apple"
    assert re.search(r"64x64 · 4 steps · seed \d+", said(posted))


async def test_the_message_shows_the_developing_picture(stage: ClientInSimcord) -> None:
    stage.engine.step_s = 0.05
    stage.engine.hold(12)
    await stage.ann.slash(stage.channel, "imagine", prompt="a red apple", steps=400)

    async def half_done() -> discord.Message | None:
        message = stage.message()
        return message if message.attachments else None

    message = await stage.until(half_done)
    text = said(message)
    assert re.search(r"█*░+` step \u2007*\d+ of 400 · similarity [\d.]+$", text, re.MULTILINE)
    assert text.count("<t:") == 1 and "left" not in text
    assert re.search(r"done <t:\d+:R>", text)
    assert message.attachments[0].filename == "preview-1.jpg"
    await stage.ann.click(message, label="Finish now")
    stage.engine.open.set()
    await stage.ended()
    assert stage.message().attachments[0].filename == "reverie-1-1.png"


async def test_the_answer_says_how_weights_were_read(stage: ClientInSimcord) -> None:
    stage.engine.open.clear()
    answer = await stage.ann.slash(stage.channel, "imagine", prompt="a castle:2 | fog:-0.5")
    assert answer.response is not None
    text, _ = read(said(answer.response))
    assert "towards “a castle” (weight 2, 80 %)" in text
    assert "away from “fog” (weight -0.5, 20 %)" in text


async def test_the_place_in_the_queue_has_a_countdown(stage: ClientInSimcord) -> None:
    stage.engine.open.clear()
    await stage.ann.slash(stage.channel, "imagine", prompt="one")
    await stage.ann.slash(stage.channel, "imagine", prompt="two")
    answer = await stage.bob.slash(stage.channel, "imagine", prompt="three")
    assert answer.response is not None
    assert re.search(r"\*\*Queued #\d\*\* of 2 · done <t:\d+:R>", said(answer.response))


async def test_waiting_jobs_are_updated_if_the_running_one_takes_another_time(
    stage: ClientInSimcord,
) -> None:
    stage.engine.open.clear()
    await stage.ann.slash(stage.channel, "imagine", prompt="one", steps=600)
    await stage.bob.slash(stage.channel, "imagine", prompt="two")

    async def shown_again() -> bool:
        """Check the estimate once the earlier picture has begun and has no measurement yet."""
        return stage.message().edited_at is not None

    await stage.until(shown_again)
    thought, shown_at = due(stage.message()), stage.message().edited_at
    stage.engine.step_s = 0.05  # a quarter of the guess
    stage.engine.open.set()

    async def measured() -> bool | None:
        """Check that the bot knows how long a step takes; no simulated time passes meanwhile."""
        view = await stage.service.view(1)
        return True if view is not None and view.progress is not None else None

    await until(measured)

    async def corrected() -> bool:
        return due(stage.message()) < thought - 30

    await stage.until(corrected)
    assert stage.said().startswith("**Queued #1** of 1")
    corrected_at = stage.message().edited_at
    assert shown_at is not None and corrected_at is not None
    assert (corrected_at - shown_at).total_seconds() < QUEUE_S


async def test_four_pictures_come_as_a_gallery_with_buttons_for_each(stage: ClientInSimcord) -> None:
    message = await stage.finished_job(count=4)
    labels = [label for item in walk(message.components) if (label := getattr(item, "label", None)) is not None]
    assert labels == ["U1", "U2", "U3", "U4", "Again", "V1", "V2", "V3", "V4", "More"]
    for file in message.attachments:
        with Image.open(BytesIO(await file.read())) as picture:
            assert picture.size == (64, 64)
    assert len(message.attachments) == 4


async def test_all_options_reach_the_generator(stage: ClientInSimcord) -> None:
    await stage.finished_job(
        size="64x96", steps=3, seed=7, start="fractal", learning_rate=0.2, cutouts=5, colour=0.4, noise=0.6,
        optimiser="radam", coarse=0.5, negative="fog", init_weight=0.5,
        prompt="a red apple --flip 0.1 --affine 0.2 --perspective 0.3 --sharpness 0.5 --scene-steps 1",
    )  # fmt: skip
    request = stage.engine.begun[0]
    settings = request.settings.as_dict()
    assert settings["size"] == "64x96"
    assert (settings["steps"], settings["seed"], settings["start"], settings["optimiser"]) == (3, 7, "fractal", "radam")
    assert [settings[name] for name in ("flip", "affine", "colour", "sharpness", "noise")] == [
        0.1, 0.2, 0.4, 0.5, 0.6,
    ]  # fmt: skip
    assert request.prompt == "a red apple | fog:-0.5"


async def test_options_typed_into_the_prompt_reach_the_generator_and_unknown_ones_are_named(
    stage: ClientInSimcord,
) -> None:
    await stage.service.words.add_style(stage.requester(stage.admin), "Night", "at night")
    stage.engine.open.clear()
    prompt = "a red apple --ar 2:1 —seed 7 --no fog, rain --count 2 --style night --chaos 9 --steps 3"
    await stage.ann.slash(stage.channel, "imagine", prompt=prompt, steps=2)
    text, _ = read(stage.said())
    assert "“--chaos” is no option of this bot" in text
    stage.engine.open.set()
    await stage.ended()
    first, second = stage.engine.begun
    assert first.prompt == "a red apple --chaos 9 | at night | fog:-0.5 | rain:-0.5"
    settings = first.settings
    assert (str(settings.size), settings.steps, settings.seed, second.settings.seed) == ("96x48", 2, 7, 8)
    assert "“--chaos” is no option of this bot" in read(stage.said())[0], "also below the finished pictures"


async def test_an_option_without_its_value_is_refused(stage: ClientInSimcord) -> None:
    assert "--ar needs a value" in await refusal(stage, prompt="a red apple --ar")
    assert "steps must be a whole number" in await refusal(stage, prompt="a red apple --steps many")
    assert "There is no style “nobody”." in await refusal(stage, prompt="a red apple --style nobody")


async def test_a_prompt_that_is_being_typed_is_completed_without_being_changed(stage: ClientInSimcord) -> None:
    await stage.service.words.add_style(stage.requester(stage.admin), "Night", "at night")
    offered = await stage.ann.autocomplete(stage.channel, "imagine", "prompt", "a cat")
    assert [item["value"] for item in offered] == ["a cat", "a cat --style Night"]
    assert await stage.ann.autocomplete(stage.channel, "imagine", "prompt", "a cat " * 20) == []


async def test_attached_pictures_reach_the_generator(stage: ClientInSimcord) -> None:
    await stage.finished_job(init_image=("start.png", png()), image_prompt=("like.png", png(40, 20)))
    request = stage.engine.begun[0]
    assert request.settings.start == "init" and request.init_image is not None
    assert len(request.image_prompts) == 1


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"prompt": "x" * 6_000}, "The prompt has 6000 characters; at most 2000 are allowed."),
        ({"prompt": " | "}, "prompt"),
        ({"size": "64x"}, "size must be width and height in pixels"),
        ({"size": "4096x4096"}, "size must be width and height in pixels, each from 32 to 768"),
        ({"size": "800x800"}, "This server allows pictures of at most 768 pixels a side."),
        ({"steps": 601}, "This server allows at most 600 steps."),
        ({"cutouts": 65}, "This server allows at most 64 cutouts."),
        ({"start": "init"}, "start “init” needs a picture"),
        ({"style": "nobody"}, "There is no style “nobody”."),
        ({"init_image": ("note.png", b"hello")}, "no PNG, JPEG, WebP or GIF"),
        ({"init_image": ("half.png", png()[:60])}, "broken or incomplete"),
        (
            {"image_prompt": ("vast.png", png()[:16] + b"\0\0\xff\xff\0\0\xff\xff" + png()[24:])},
            "megapixels are allowed",
        ),
    ],
)
async def test_impossible_values_are_refused_with_a_message(
    stage: ClientInSimcord, options: dict[str, object], sentence: str
) -> None:
    assert sentence in await refusal(stage, **options)


async def test_each_way_to_paint_refuses_bad_input_with_a_sentence(stage: ClientInSimcord) -> None:
    red, masks = ("start.png", png()), {}
    shapes = {"wide": ((64, 32), (0, 0, 32, 32)), "black": ((32, 32), None), "white": ((32, 32), (0, 0, 32, 32))}
    for name, (size, shade) in shapes.items():
        mask, out = Image.new("L", size), BytesIO()
        if shade is not None:
            mask.paste(255, shade)
        mask.save(out, "PNG")
        masks[name] = (f"{name}.png", out.getvalue())
    cases = [
        ({"init_image": red, "mask": masks["wide"]}, "The mask has another shape (64x32) than the init image (32x32)"),
        ({"init_image": red, "mask": masks["black"]}, "The mask is all black"),
        ({"init_image": red, "mask": masks["white"]}, "The mask is all white"),
        ({"mask": masks["wide"]}, "keep, repaint and outpaint change a part of a picture; give an init image."),
        ({"init_image": red, "keep": "left 50%", "repaint": "top 20%"}, "keep and repaint cannot be combined"),
        ({"prompt": "a cat --palette mud"}, "palette has the colour 'mud', which is unknown"),
        ({"prompt": "a cat --palette navy --palette-weight 0"}, "palette has no effect with palette_weight 0"),
        ({"prompt": "a cat --tile both --ar 48x48"}, "A tile must be at least 64 pixels long along its axis"),
        ({"prompt": "a cat:0 | a dog:0"}, "Every weight is 0, so nothing would be painted"),
        ({"prompt": "a cat --learning-rate 50%: 0.1, 10%: 0.2"}, "The keyframes of learning_rate run backwards"),
        ({"prompt": "a cat --likeness 3"}, "likeness holds the picture to an image prompt; give one"),
        ({"prompt": "a cat --drawer crayon"}, "drawer"),
        ({"prompt": "a cat --upscaler ../net.pth"}, "'../net.pth' cannot name an upscaler"),
    ]  # fmt: skip
    for options, sentence in cases:
        assert sentence in (await refusal(stage, **options)).replace("\\_", "_")
    assert stage.engine.begun == []


@pytest.mark.parametrize(
    "prompt", ["@everyone look", "**bold** _it_ `code`", "```py\na cat```", "قطة حمراء", "🦊👩‍🚀🏳️‍🌈"]
)
async def test_odd_prompts_work_and_are_shown_without_effect(stage: ClientInSimcord, prompt: str) -> None:
    message = await stage.finished_job(prompt)
    assert read(said(message).splitlines()[1]) == (" ".join(prompt.removeprefix("```").removesuffix("```").split()), [])
    assert not message.mention_everyone


async def test_a_channel_that_the_bot_cannot_write_to_is_refused_naming_what_is_missing(stage: ClientInSimcord) -> None:
    me = stage.guild.me
    assert me is not None
    shut = stage.guild.create_text_channel(
        "shut", overwrites={stage.guild.roles["TestBot"]: discord.PermissionOverwrite(attach_files=False)}
    )
    stage.channel = shut
    assert "Missing permissions: Attach Files." in await refusal(stage)


async def test_a_blocked_word_names_its_rule(stage: ClientInSimcord) -> None:
    requester = Requester(guild_id=stage.guild.id, channel_id=stage.channel.id, user_id=stage.admin.id, manages=True)
    await stage.service.words.add_block(requester, "apple*")
    assert await refusal(stage) == "The prompt breaks the blocklist rule “apple\\*”."


async def test_sizes_are_offered_by_aspect_ratio_up_to_what_the_server_allows(stage: ClientInSimcord) -> None:
    offered = await stage.ann.autocomplete(stage.channel, "imagine", "size", "16:9")
    assert {"name": "16:9 · 336x192", "value": "336x192"} in offered
    assert all(max(map(int, item["value"].split("x"))) <= 768 for item in offered)


async def test_styles_are_offered_by_name(stage: ClientInSimcord) -> None:
    requester = Requester(guild_id=stage.guild.id, channel_id=stage.channel.id, user_id=stage.admin.id, manages=True)
    await stage.service.words.add_style(requester, "Night", "at night under the stars")
    offered = await stage.ann.autocomplete(stage.channel, "imagine", "style", "nig")
    assert offered == [{"name": "Night: at night under the stars", "value": "Night"}]
    await stage.finished_job(style="Night")
    assert stage.engine.begun[0].prompt == "a red apple | at night under the stars"


async def test_a_private_picture_shows_nothing_but_to_its_owner(stage: ClientInSimcord) -> None:
    message = await stage.finished_job("a secret", private=True)
    assert "secret" not in said(message) and not message.attachments
    shown = await stage.ann.click(message, label="Show")
    reply = shown.response or shown.followups[0]
    assert reply.ephemeral and reply.attachments[0].filename == "reverie-1-1.png"
    other = await stage.bob.click(message, label="Show")
    assert other.response is not None and "There is no job 1 here" in other.response.content


async def test_the_message_shows_a_failure(stage: ClientInSimcord) -> None:
    stage.engine.faults.append(MemoryError())
    await stage.ann.slash(stage.channel, "imagine", prompt="a red apple")
    await stage.ended(state=JobState.FAILED)
    assert "does not fit into the memory" in stage.said()


async def test_a_german_person_gets_german_words(stage: ClientInSimcord) -> None:
    stage.engine.open.clear()
    requester = replace(stage.requester(stage.ann), locale="de")
    submitted = await stage.service.submissions.submit(requester, JobSpec(prompt="ein roter Apfel"))
    view = await stage.service.view(submitted.job.id)
    assert view is not None
    look = shown(view)
    assert look.status.startswith(("**In der Warteschlange**", "**Platz", "**Wird gemalt**"))
    assert look.alt_texts == ("KI-generiertes Bild zum Prompt: ein roter Apfel",)
    stage.engine.open.set()
    await stage.ended()
    assert stage.said().startswith("**Fertig**")


class TestModels:
    @pytest.fixture
    def config(self, config: Config) -> Config:
        return replace(config, models=ModelSets(offered=["faceshq"]))

    async def test_models_are_offered_narrowed_and_kept(self, stage: ClientInSimcord) -> None:
        offered = await stage.ann.autocomplete(stage.channel, "imagine", "model", "")
        assert [choice["value"] for choice in offered] == ["starter", "faceshq"]
        await stage.finished_job(model="faceshq")
        assert stage.engine.begun[0].models == "faceshq"
        refused = reply_of(await stage.ann.slash(stage.channel, "models default", model="faceshq")).content
        assert "manage" in refused
        shown = reply_of(await stage.admin.slash(stage.channel, "models default", model="faceshq")).content
        assert shown == "Models of this server: starter, faceshq. Without a choice, **faceshq** is used."
        assert [choice["value"] for choice in await stage.ann.autocomplete(stage.channel, "imagine", "model", "")] == [
            "faceshq",
            "starter",
        ]
        shown = reply_of(await stage.admin.slash(stage.channel, "models deny", model="starter")).content
        assert "starter" not in shown
        assert reply_of(await stage.ann.slash(stage.channel, "models list")).content == shown
