"""Allowed places for requests: age-restricted servers, servers without the bot, contexts of the commands."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.config import Config
from tests.bot.discord.client_on_loopback import ClientOnLoopback, on_a_fake

SERVERS = 0


@pytest.mark.parametrize(("level", "restricted"), [(0, False), (1, True), (2, False), (3, True)])
async def test_every_channel_of_an_age_restricted_server_is_age_restricted(
    tmp_path: Path, config: Config, level: int, restricted: bool
) -> None:
    async with on_a_fake(ClientOnLoopback, tmp_path, config, started=False) as live:
        live.guild.nsfw_level = level
        thread = live.guild.add_thread(live.channel)
        await live.start()
        for number, channel in enumerate((live.channel, thread), start=1):
            await live.fake.type_imagine(channel, live.ann, "a red apple")
            await live.ended(number)
            assert (await live.job(number)).age_restricted is restricted


async def test_in_a_server_without_the_bot_the_answer_says_to_invite_it(live: ClientOnLoopback) -> None:
    elsewhere = live.fake.world.add_guild("Elsewhere").add_channel("pictures")
    elsewhere.bot_permissions = 0
    eve = elsewhere.guild.add_member("eve")
    # The commands were added without the bot.
    answer = await live.fake.type_imagine(elsewhere, eve, "a red apple")
    assert answer.ephemeral
    assert "not the bot itself" in answer.text and "can add it" in answer.text
    assert f"https://discord.com/oauth2/authorize?client_id={live.client.application_id}" in answer.text
    assert "Missing permissions" not in answer.text


async def test_commands_are_added_to_servers_alone(live: ClientOnLoopback) -> None:
    commands = {command["name"]: command for command in live.fake.world.commands[None]}
    assert all(command["integration_types"] == [SERVERS] for command in commands.values())
    assert commands["imagine"]["contexts"] == commands["Imagine like this"]["contexts"] == [SERVERS]
    # Also in direct messages with the bot; nowhere else, by their install contexts.
    assert commands["help"]["contexts"] is None
