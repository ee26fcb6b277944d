"""/describe: words with shares, private; buttons that paint them after a restart; between the steps of a picture."""

from __future__ import annotations

from simcord.results import InteractionResult, ResponseMessage

from bot.frontend.commands.describe import PROMPT, prompts_of
from generator import Answer, Description, GeneratorError
from tests.bot.frontend.client_in_simcord import ClientInSimcord
from tests.bot.frontend.commands.test_imagine import png


async def told(stage: ClientInSimcord, answer: InteractionResult) -> ResponseMessage:
    """Return the private answer, once the models have looked."""

    async def look() -> ResponseMessage | None:
        reply = answer.followups[0] if answer.followups else answer.response
        return reply if reply is not None and (reply.content or reply.embeds) else None

    reply = await stage.until(look)
    assert reply.ephemeral
    return reply


async def test_a_picture_is_described_and_its_words_are_painted_also_after_a_restart(stage: ClientInSimcord) -> None:
    seen = await told(stage, await stage.ann.slash(stage.channel, "describe", picture=("a.png", png())))
    lines = (seen.embeds[0].description or "").splitlines()
    assert lines[0] == "**Things**: cat 60%, dog 30%"
    assert lines[1:4] == ["**Colours**: red 100%", "**Scenes**: in the snow 90%", "**Styles**: a painting 50%"]
    assert lines[4] == "**1.** a red cat in the snow"
    await stage.restart()
    await stage.ann.click(seen, label="1. a red cat in the snow")
    job = await stage.ended(1)
    assert (job.prompt, job.user_id) == ("a red cat in the snow", stage.ann.id)


async def test_the_prompt_in_a_picture_of_reverie_comes_first(stage: ClientInSimcord) -> None:
    message = await stage.finished_job("a green boat")
    data = await message.attachments[0].read()
    seen = await told(stage, await stage.bob.slash(stage.channel, "describe", picture=("a.png", data)))
    lines = (seen.embeds[0].description or "").splitlines()
    assert lines[0] == "**Painted from**: a green boat" and "**1.** a green boat" in lines
    await stage.bob.click(seen, label="1. a green boat")
    assert (await stage.ended(2)).prompt == "a green boat"
    stage.engine.sees = (Answer("cat", 0.3),)
    seen = await told(stage, await stage.bob.slash(stage.channel, "describe", picture=("a.png", data)))
    assert "cat" not in (seen.embeds[0].description or "") and "a green boat" in (seen.embeds[0].description or "")


async def test_what_the_models_are_unsure_of_is_told_as_a_guess(stage: ClientInSimcord) -> None:
    stage.engine.sees = Answer("cat", 0.3), Answer("dog", 0.02)
    seen = await told(stage, await stage.ann.slash(stage.channel, "describe", picture=("a.png", png())))
    lines = (seen.embeds[0].description or "").splitlines()
    assert lines[0] == "**Things**: not sure, perhaps cat 30%" and not any("dog" in line for line in lines)
    stage.engine.sees = (Answer("cat", 0.03),)
    seen = await told(stage, await stage.ann.slash(stage.channel, "describe", picture=("a.png", png())))
    assert "Things" not in (seen.embeds[0].description or "") and "cat" not in (seen.embeds[0].description or "")


async def test_the_picture_of_a_message_is_described_while_another_is_painted(stage: ClientInSimcord) -> None:
    message = await stage.ann.send(stage.channel, "look", attachments=[("mine.png", png())])
    stage.engine.step_s = 0.01
    await stage.ann.slash(stage.channel, "imagine", prompt="a fox", steps=300)
    seen = await told(stage, await stage.bob.context_menu(stage.channel, "Describe", message))
    assert "cat 60%" in (seen.embeds[0].description or "")
    await stage.ended(1)
    assert len(set(stage.engine.threads)) == 1


async def test_what_is_no_picture_or_cannot_be_seen_is_said(stage: ClientInSimcord) -> None:
    refused = await told(stage, await stage.ann.slash(stage.channel, "describe", picture=("a.png", b"no picture")))
    assert not refused.embeds
    await stage.admin.slash(stage.channel, "people block", person=stage.bob)
    refused = await told(stage, await stage.bob.slash(stage.channel, "describe", picture=("a.png", png())))
    assert not refused.embeds


async def test_an_error_of_the_models_reaches_the_person_and_not_the_picture_in_progress(
    stage: ClientInSimcord,
) -> None:
    stage.engine.look_fault = GeneratorError("It does not fit into the memory.")
    refused = await told(stage, await stage.ann.slash(stage.channel, "describe", picture=("a.png", png())))
    assert refused.content == "It does not fit into the memory."
    await stage.finished_job()


def test_prompts_are_made_of_the_likeliest_words_and_fit_a_button() -> None:
    things = tuple(Answer(words, 0.2) for words in ("apple", "x" * 90))
    seen = Description(things, (Answer("orange", 1.0),), (), ())
    assert prompts_of(seen) == ["an orange apple", "an apple"]
    assert prompts_of(Description((), (), (), ())) == []
    assert all(len(text) <= PROMPT for text in prompts_of(seen))
