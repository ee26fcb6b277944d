"""Presets and a person's own defaults: saved, used, shared, kept from a picture, and in whose favour they give way."""

from __future__ import annotations

import pytest

from bot.errors import InvalidJobSpec
from bot.service import JobSpec
from tests.bot.frontend.client_in_simcord import ClientInSimcord, reply_of


async def test_a_preset_is_saved_used_listed_and_deleted(stage: ClientInSimcord) -> None:
    saved = reply_of(
        await stage.ann.slash(stage.channel, "preset save", name="Wide", options="--size 128x64 --steps 3 --no fog")
    )
    assert "**Wide**" in saved.content
    await stage.ann.slash(stage.channel, "preset use", name="wide", prompt="a cat --steps 2")
    job = await stage.ended(1)
    assert (str(job.settings.size), job.settings.steps, job.prompt) == ("128x64", 2, "a cat | fog:-0.5")
    await stage.ann.slash(stage.channel, "imagine", prompt="a dog --preset wide", size="64x64")
    job = await stage.ended(2)
    assert (str(job.settings.size), job.settings.steps) == ("64x64", 3)
    listed = reply_of(await stage.ann.slash(stage.channel, "preset list"))
    assert r"**Wide**: \--size" in (listed.embeds[0].description or "")
    modal = await stage.ann.select(listed, ["Wide"], custom_id="reverie-presets")
    await stage.ann.submit_modal(modal, {"prompt": "a fox"})
    assert str((await stage.ended(3)).settings.size) == "128x64"
    await stage.ann.slash(stage.channel, "preset delete", name="WIDE")
    missing = await stage.ann.slash(stage.channel, "preset use", name="wide", prompt="a cat")
    assert "There is no preset “wide”" in reply_of(missing).content


async def test_a_preset_of_the_server_is_for_all_and_saved_by_those_who_manage_it(stage: ClientInSimcord) -> None:
    refused = await stage.ann.slash(stage.channel, "preset save", name="tiny", options="--size 32x32", server=True)
    assert "Only someone who manages the server" in reply_of(refused).content
    await stage.admin.slash(stage.channel, "preset save", name="tiny", options="--size 32x32", server=True)
    offered = await stage.bob.autocomplete(stage.channel, "preset use", "name", "ti")
    assert offered == [{"name": "tiny: --size 32x32", "value": "tiny"}]
    refused = await stage.bob.slash(stage.channel, "preset delete", name="tiny")
    assert "Only someone who manages the server" in reply_of(refused).content
    await stage.bob.slash(stage.channel, "preset use", name="tiny", prompt="a cat")
    assert str((await stage.ended(1)).settings.size) == "32x32"


async def test_a_shared_preset_is_used_and_kept_by_others_also_after_a_restart(stage: ClientInSimcord) -> None:
    await stage.ann.slash(stage.channel, "preset save", name="wide", options="--size 128x64")
    await stage.ann.slash(stage.channel, "preset share", name="wide")
    await stage.restart()
    kept = reply_of(await stage.bob.click(stage.message(), label="Keep it"))
    assert "**wide** saved" in kept.content
    assert [preset.own for preset in await stage.service.presets.known(0, stage.bob.id)] == [True]
    modal = await stage.bob.click(stage.message(), label="Use it")
    await stage.bob.submit_modal(modal, {"prompt": "a cat"})
    assert str((await stage.ended(1)).settings.size) == "128x64"
    await stage.admin.slash(stage.channel, "blocklist add", rule="wide")
    refused = await stage.ann.slash(stage.channel, "preset share", name="wide")
    assert "wide" in reply_of(refused).content


async def test_the_settings_of_a_picture_are_kept_from_its_message_and_its_recipe(stage: ClientInSimcord) -> None:
    message = await stage.finished_job("a cat --palette navy, gold", size="128x64", seed=7, count=2)
    modal = await stage.bob.context_menu(stage.channel, "Keep settings", message)
    await stage.bob.submit_modal(modal, {"name": "mine", "options": "--size 128x64 --count 2"})
    await stage.bob.slash(stage.channel, "preset use", name="mine", prompt="a dog")
    job = await stage.ended(2)
    assert (str(job.settings.size), job.count) == ("128x64", 2)
    assert job.settings.seed != 7
    kept = await stage.service.presets.options_of(await stage.job(1))
    assert kept == "--size 128x64 --palette #000080, #ffd700 --count 2"
    recipe = reply_of(await stage.bob.slash(stage.channel, "recipe", job=1))
    modal = await stage.bob.click(recipe, label="Keep settings")
    await stage.bob.submit_modal(modal, {"name": "gold", "options": kept})
    await stage.bob.slash(stage.channel, "preset use", name="gold", prompt="a fox")
    assert (await stage.ended(3)).settings.palette == "#000080, #ffd700"


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("x", "a cat"), ("x", "a cat --steps 3"), ("x", "--steps many"), ("x", "--size 9"), ("x", "--what 3"),
        ("x", "--preset y"), (" ", "--steps 3"), ("a:b", "--steps 3"),
    ],
)  # fmt: skip
async def test_what_is_no_option_or_has_no_possible_value_is_no_preset(
    stage: ClientInSimcord, name: str, options: str
) -> None:
    with pytest.raises(InvalidJobSpec):
        await stage.service.presets.save(stage.requester(stage.ann), name, options)
    assert await stage.service.presets.known(stage.guild.id, stage.ann.id) == ()


async def test_ones_own_defaults_fill_the_gaps_of_a_request(stage: ClientInSimcord) -> None:
    await stage.admin.slash(stage.channel, "styles add", name="oil", text="oil on canvas")
    await stage.ann.slash(stage.channel, "settings", size="2:1", style="OIL", private="private")
    await stage.ann.slash(stage.channel, "imagine", prompt="a cat")
    job = await stage.ended(1)
    assert job.settings.size.width == 2 * job.settings.size.height
    assert (job.prompt, job.private) == ("a cat | oil on canvas", True)
    await stage.ann.slash(stage.channel, "imagine", prompt="a cat", private=False, size="64x64", style="none")
    job = await stage.ended(2)
    assert (str(job.settings.size), job.prompt, job.private) == ("64x64", "a cat", False)
    await stage.bob.slash(stage.channel, "imagine", prompt="a cat")
    assert not (await stage.ended(3)).private
    await stage.ann.click(stage.channel.history()[-2], label="Again")
    assert (await stage.ended(4)).private
    await stage.service.personal_settings.change(stage.ann.id, "size", "default")
    await stage.admin.slash(stage.channel, "styles remove", name="oil")
    job = (await stage.service.submissions.submit(stage.requester(stage.ann), JobSpec(prompt="a cat"))).job
    assert (job.prompt, str(job.settings.size)) == ("a cat", "64x64")


async def test_a_default_size_gives_way_to_the_limits_of_a_server(stage: ClientInSimcord) -> None:
    await stage.ann.slash(stage.channel, "settings", size="1024x512")
    await stage.admin.slash(stage.channel, "limits set", name="size_px", value=128)
    await stage.ann.slash(stage.channel, "imagine", prompt="a cat")
    assert str((await stage.ended(1)).settings.size) == "128x64"
    refused = reply_of(await stage.ann.slash(stage.channel, "settings", size="huge"))
    assert "size" in refused.content


async def test_the_chosen_language_is_that_of_all_answers(stage: ClientInSimcord) -> None:
    shown = reply_of(await stage.ann.slash(stage.channel, "settings", language="de"))
    assert "Deine Einstellungen" in shown.content
    await stage.restart()
    assert "keinen offenen Auftrag" in reply_of(await stage.ann.slash(stage.channel, "cancel")).content
    await stage.ann.select(shown, ["client"], custom_id="reverie-setting:language")
    assert "Your settings" in shown.content
    modal = await stage.ann.click(shown, label="Size, style and models")
    await stage.ann.submit_modal(modal, {"size": "64x64", "style": ""})
    assert (await stage.service.personal_settings.of(stage.ann.id)).size == "64x64"
