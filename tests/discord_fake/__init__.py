"""A fake of Discord on loopback: its HTTP interface and its gateway, for the real bot over a real network.

It records all calls, simulates people who type and click, and produces faults on demand:

    async with FakeDiscord() as fake:
        guild = fake.world.add_guild()
        channel, ann = guild.add_channel("pictures"), guild.add_member("ann")
        bot = BotProcess(fake, tmp_path)            # or `with pointed_at(fake.url):` and a client in this process
        await bot.start()
        answer = await fake.type_imagine(channel, ann, "a red apple", size="64x64", steps=2, start="random")
        fake.faults.refuse("PATCH", "/channels/*/messages/*", 503, times=3)
        fake.faults.limit("PATCH", "/webhooks/*", retry_after_s=0.2)
        fake.faults.cut("PATCH", "*/messages/*", Cut.DURING)
        fake.gateway.drop()
        await fake.until(lambda: channel.visible()[-1].attachments)
        await fake.click(answer.message, "reverie:again", ann)
        await bot.kill()
        assert not fake.problems()                  # every body is as Discord describes it

Not supported: voice, and all that the bot does not call. An unknown call is a problem, not an empty answer.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.discord_fake.bot_process import BotProcess
    from tests.discord_fake.calls import Call, UploadedFile
    from tests.discord_fake.faults import Cut, Fault, Faults
    from tests.discord_fake.gateway import Gateway, NotConnected
    from tests.discord_fake.interactions import Interaction, Kind, Upload
    from tests.discord_fake.pointing import point_at, pointed_at
    from tests.discord_fake.server import TOKEN, FakeDiscord
    from tests.discord_fake.world import Attachment, Channel, Guild, Member, Message, World

__all__ = [
    "TOKEN", "Attachment", "BotProcess", "Call", "Channel", "Cut", "FakeDiscord", "Fault", "Faults", "Gateway",
    "Guild", "Interaction", "Kind", "Member", "Message", "NotConnected", "Upload", "UploadedFile", "World", "point_at",
    "pointed_at",
]  # fmt: skip

_HOMES = {
    "bot_process": ("BotProcess",),
    "calls": ("Call", "UploadedFile"),
    "faults": ("Cut", "Fault", "Faults"),
    "gateway": ("Gateway", "NotConnected"),
    "interactions": ("Interaction", "Kind", "Upload"),
    "pointing": ("point_at", "pointed_at"),
    "server": ("TOKEN", "FakeDiscord"),
    "world": ("Attachment", "Channel", "Guild", "Member", "Message", "World"),
}
"""Modules of the names above. Each is imported on first use: a bot that is launched needs none of the fake itself."""


def __getattr__(name: str) -> object:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"tests.discord_fake.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
