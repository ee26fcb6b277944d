"""/settings: shown, changed by option and by menu, exported and deleted with all else of a person."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import bot.frontend
from bot.service import Ping
from tests.bot.frontend.client_in_simcord import ClientInSimcord, reply_of


async def ping_of(stage: ClientInSimcord) -> Ping:
    return (await stage.service.personal_settings.of(stage.ann.id)).ping


async def test_settings_are_shown_and_changed_by_option_and_by_menu(stage: ClientInSimcord) -> None:
    shown = reply_of(await stage.ann.slash(stage.channel, "settings"))
    assert "Ping when a picture is ready: **After more than a minute**" in shown.content
    assert await ping_of(stage) is Ping.LONG
    changed = reply_of(await stage.ann.slash(stage.channel, "settings", ping="always"))
    assert "**Always**" in changed.content
    await stage.ann.select(changed, ["never"], custom_id="reverie-setting:ping")
    assert "**Never**" in changed.content
    assert await ping_of(stage) is Ping.NEVER
    await stage.restart()
    assert await ping_of(stage) is Ping.NEVER


async def test_settings_and_favourites_are_exported_and_deleted(stage: ClientInSimcord) -> None:
    message = await stage.finished_job()
    await stage.bob.click(message, label="Favourite")
    await stage.bob.slash(stage.channel, "settings", ping="never")
    await stage.bob.slash(stage.channel, "preset save", name="mine", options="--steps 3")
    privacy = reply_of(await stage.bob.slash(stage.channel, "privacy"))
    exported = reply_of(await stage.bob.click(privacy, label="Export my data"))
    with zipfile.ZipFile(io.BytesIO(await exported.attachments[0].read())) as archive:
        facts = json.loads(archive.read("data.json"))
    assert facts["settings"] == [{"name": "ping", "value": "never"}]
    assert facts["presets"] == [{"name": "mine", "options": "--steps 3"}]
    assert [(item["job_id"], item["number"]) for item in facts["favourites"]] == [(1, 1)]
    asked = reply_of(await stage.bob.click(privacy, label="Delete my data"))
    await stage.bob.click(asked, label="Delete all my data permanently")
    facts = await stage.service.store.pictures.person_facts(stage.bob.id)
    assert (facts["settings"], facts["presets"], facts["favourites"]) == ([], [], [])


async def test_a_setting_must_suit_the_server_in_which_it_is_chosen_and_may_stay_elsewhere(
    stage: ClientInSimcord,
) -> None:
    refused = reply_of(await stage.ann.slash(stage.channel, "settings", model="unheard"))
    assert "cannot be used here. Choose one of: starter." in refused.content
    chosen = reply_of(await stage.ann.slash(stage.channel, "settings", model="starter"))
    assert "Models of your pictures: **starter**" in chosen.content
    listed = reply_of(await stage.ann.slash(stage.channel, "models list"))
    assert listed.content.endswith("Yours, by `/settings`: **starter**.")
    await stage.service.personal_settings.change(stage.ann.id, "style", "elsewhere")
    modal = await stage.ann.click(chosen, label="Size, style and models")
    await stage.ann.submit_modal(modal, {"size": "64x64", "style": "elsewhere", "model": "default"})
    own = await stage.service.personal_settings.of(stage.ann.id)
    assert (own.size, own.style, own.model) == ("64x64", "elsewhere", "")


async def test_a_value_of_another_version_counts_as_the_default(stage: ClientInSimcord) -> None:
    await stage.service.store.people.put_setting(stage.ann.id, "ping", "sometimes")
    await stage.service.store.people.put_setting(stage.ann.id, "colour", "blue")
    assert await ping_of(stage) is Ping.LONG


def test_the_language_of_answers_is_asked_in_one_place() -> None:
    folder = Path(bot.frontend.__file__).parent
    asking = [path.name for path in folder.rglob("*.py") if "interaction.locale" in path.read_text("utf-8")]
    assert asking == ["app.py"]
