"""/styles: a sheet with a picture of each style, and a menu that paints in one."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

from bot.environment import load_config
from bot.service import style_picture
from tests.bot.frontend.client_in_simcord import ClientInSimcord, reply_of

CONFIG = Path(__file__).parents[4] / "config.yaml"


async def cells(reply: object) -> list[bool]:
    """For each of three cells in a row, True if there is a picture in it."""
    (sheet,) = reply.attachments  # type: ignore[attr-defined]
    with Image.open(io.BytesIO(await sheet.read())) as image:
        assert image.size == (3 * 256 + 8, 256)
        middles = [image.crop((260 * column + 64, 64, 260 * column + 192, 192)) for column in range(3)]
        # An empty cell is dark grey, give or take what JPEG does to it.
        return [max(high for _, high in middle.getextrema()) > 80 for middle in middles]


def test_every_style_of_config_yaml_comes_with_a_small_picture_and_no_other_picture_is_there() -> None:
    paths = {style_picture(text) for text in load_config(CONFIG).styles.values()}
    assert paths == set(next(iter(paths)).parent.iterdir())
    for path in paths:
        assert path.stat().st_size < 20_000
        with Image.open(path) as image:
            assert (image.format, image.size) == ("WEBP", (192, 192))


async def test_a_style_is_shown_by_its_own_picture_or_the_servers_newest_that_everybody_may_see(
    stage: ClientInSimcord,
) -> None:
    words, admin = stage.service.words, stage.requester(stage.admin)
    for name, text in (("a shipped", "at sunset:0.5"), ("b used", "blue ink:0.6"), ("c secret", "red chalk:0.6")):
        await words.add_style(admin, name, text)
    await stage.finished_job("a cat", style="c secret", private=True)
    assert await cells(reply_of(await stage.ann.slash(stage.channel, "styles list"))) == [True, False, False]
    await stage.finished_job("a cat", style="b used", seed=1)
    assert await cells(reply_of(await stage.ann.slash(stage.channel, "styles list"))) == [True, True, False]


async def test_the_menu_asks_what_to_paint_and_paints_it_in_the_style(stage: ClientInSimcord) -> None:
    await stage.service.words.add_style(stage.requester(stage.admin), "Night", "at night")
    reply = reply_of(await stage.bob.slash(stage.channel, "styles list"))
    assert "**1.** **Night**: at night" in (reply.embeds[0].description or "")
    modal = await stage.bob.select(reply, ["Night"], custom_id="reverie-style")
    await stage.bob.submit_modal(modal, {"prompt": "a fox --seed 4"})
    job = await stage.ended(1)
    assert (job.prompt, job.settings.seed, job.user_id) == ("a fox | at night", 4, stage.bob.id)


async def test_many_styles_have_pages(stage: ClientInSimcord) -> None:
    for number in range(10):
        await stage.service.words.add_style(
            stage.requester(stage.admin), f"style {number}", f"colour {number}" + " x" * 140
        )
    reply = reply_of(await stage.bob.slash(stage.channel, "styles list"))
    assert not reply.attachments
    await stage.bob.click(reply, label="▶")
    assert reply.embeds[0].description == f"**1.** **style 9**: colour 9{' x' * 35} …"
    assert reply.embeds[0].footer.text == "Page 2 of 2 · 10 in all"
