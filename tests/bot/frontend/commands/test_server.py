"""/server: all settings in one private message, changed by its menus and buttons."""

from __future__ import annotations

from simcord.results import ResponseMessage

from tests.bot.frontend.client_in_simcord import ClientInSimcord, reply_of


def text_of(page: ResponseMessage) -> str:
    return "\n".join(f"{item.name}: {item.value}" for item in page.embeds[0].fields)


async def test_server_shows_all_settings_and_where_they_differ(stage: ClientInSimcord) -> None:
    guilds, admin = stage.service.guilds, stage.requester(stage.admin)
    stage.engine.safety_perceptors = ()
    await guilds.set_limit(admin, "steps", 10)
    await guilds.set_channel(admin, stage.channel.id, True)
    await guilds.block_person(admin, stage.bob.id)
    await stage.service.words.add_block(admin, "cat")
    await guilds.pause(admin)
    await stage.ann.slash(stage.channel, "imagine", prompt="a red apple", steps=3)
    page = reply_of(await stage.admin.slash(stage.channel, "server"))
    text = text_of(page)
    for part in (
        "`steps` **10** (default 600)", "`count` **4**\n", f"only in <#{stage.channel.id}>", "is no guard",
        "deleted after 90 days", "**Paused** · 1 waiting", "Forbidden words: 1 · own styles: 0 · blocked people: 1",
    ):  # fmt: skip
        assert part in text, part


async def test_menus_and_buttons_of_server_change_it_after_a_restart(stage: ClientInSimcord) -> None:
    other = stage.guild.create_text_channel("other")
    page = reply_of(await stage.admin.slash(stage.channel, "server"))
    await stage.restart()
    guilds, guild_id = stage.service.guilds, stage.guild.id
    await stage.admin.select(page, ["refuse"], custom_id="reverie-server:safety")
    await stage.admin.select(page, [other], custom_id="reverie-server:report-channel")
    mode, channel_id = await guilds.safety(guild_id)
    assert (mode.value, channel_id) == ("refuse", other.id)
    assert f"Reports are posted in <#{other.id}>" in text_of(page)
    await stage.admin.select(page, [], custom_id="reverie-server:report-channel")
    assert (await guilds.safety(guild_id))[1] is None
    await stage.admin.select(page, [stage.channel, other], custom_id="reverie-server:channels")
    await stage.admin.select(page, [other], custom_id="reverie-server:channels")
    assert await guilds.channels(guild_id) == {other.id: True}
    await stage.admin.click(page, label="Pause the queue")
    assert await guilds.paused(guild_id) and "**Paused**" in text_of(page)
    await stage.admin.click(page, label="Continue the queue")
    assert not await guilds.paused(guild_id)


async def test_forms_of_server_take_values_and_name_what_is_allowed(stage: ClientInSimcord) -> None:
    page = reply_of(await stage.admin.slash(stage.channel, "server"))
    guilds, guild_id = stage.service.guilds, stage.guild.id
    for value, steps in (("10", 10), ("", 600)):
        modal = await stage.admin.select(page, ["steps"], custom_id="reverie-server:limit")
        await stage.admin.submit_modal(modal, {"value": value})
        assert (await guilds.limits(guild_id)).steps == steps
        assert f"`steps` **{steps}**" in text_of(page)
    modal = await stage.admin.select(page, ["steps"], custom_id="reverie-server:limit")
    refused = await stage.admin.submit_modal(modal, {"value": "many"})
    assert reply_of(refused).content == "steps must be a whole number from 1 to 2000."
    modal = await stage.admin.click(page, label="Retention")
    await stage.admin.submit_modal(modal, {"value": "7"})
    assert await guilds.retention_days(guild_id) == 7
    modal = await stage.admin.click(page, label="Forbid a word")
    added = await stage.admin.submit_modal(modal, {"value": "cat"})
    assert "“cat” are now refused" in reply_of(added).content
    await stage.admin.click(page, label="Refresh")
    assert "after 7 days" in text_of(page) and "Forbidden words: 1" in text_of(page)
    listed = reply_of(await stage.admin.click(page, label="Open reports"))
    assert "There are no open reports" in (listed.embeds[0].description or "")


async def test_the_message_of_server_serves_nobody_who_does_not_manage_it(stage: ClientInSimcord) -> None:
    page = reply_of(await stage.admin.slash(stage.channel, "server"))
    stage.demote_admin()
    answers = [
        await stage.admin.click(page, label=label)
        for label in ("Pause the queue", "Retention", "Forbid a word", "Open reports", "Refresh")
    ]
    answers.append(await stage.admin.select(page, ["steps"], custom_id="reverie-server:limit"))
    answers.append(await stage.admin.select(page, ["off"], custom_id="reverie-server:safety"))
    for answer in answers:
        assert reply_of(answer).content == "Only someone who manages the server can do this."
    assert not await stage.service.guilds.paused(stage.guild.id)
