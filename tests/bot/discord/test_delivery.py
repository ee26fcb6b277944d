"""Pictures on their way over a real network: they arrive whole, once, whatever Discord and the network do."""

from __future__ import annotations

from bot.files import DataFolder, Kind
from tests.bot.discord.live import Live


async def test_a_finished_picture_arrives_byte_for_byte(live: Live) -> None:
    answer = await live.imagine()
    await live.ended()
    (message,) = live.channel.visible()
    assert message is answer.message
    (file,) = message.attachments
    assert file.data == DataFolder(live.folder).read(Kind.PICTURE, 1, 1)
    assert (file.filename, file.content_type) == ("reverie-1-1.png", "image/png")
    assert "a red apple" in (file.description or "")
    assert message.embeds[0]["image"]["url"] == "attachment://reverie-1-1.png"
