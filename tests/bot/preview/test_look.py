"""The preview's page itself: how it draws what Discord sends, its width, its names and its order by keyboard."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import pytest
from playwright.sync_api import FloatRect, Locator, expect

from bot.frontend.preview.welcome import EXAMPLES
from tests.bot.preview.preview_in_browser import PreviewPage

pytestmark = [pytest.mark.waits, pytest.mark.timeout(600)]
MARKDOWN = {
    "**b** *i* _j_ __u__ ~~s~~ `c`": "<strong>b</strong> <em>i</em> <em>j</em> <u>u</u> <s>s</s> <code>c</code>",
    "a_b_c 2*3*4": "a_b_c 2<em>3</em>4",
    r"\*plain\* \\ \_": "*plain* \\ _",
    "<img src=x onerror=alert(1)>": "&lt;img src=x onerror=alert(1)&gt;",
    "[a](javascript:alert(1))": "[a](javascript:alert(1))",
    "<@7> <@&8> <#9> </help:1>": '<span class="mention">@ann</span> <span class="mention">@red</span> '
    '<span class="mention">#art</span> <span class="mention">/help</span>',
    "https://example.org/a_b_c.": '<a href="https://example.org/a_b_c" target="_blank" rel="noopener noreferrer">'
    "https://example.org/a_b_c</a>.",
    "[*x*](https://example.org)": '<a href="https://example.org" target="_blank" rel="noopener noreferrer">'
    "<em>x</em></a>",
}
BLOCKS = {
    "# Big\n-# small": '<h3 class="">Big</h3><small class="subtext">small</small>',
    "- one\n- two\n1. first": "<ul><li>one</li><li>two</li></ul><ol><li>first</li></ol>",
    "> said\n> twice\nafter": '<blockquote>said\ntwice</blockquote><div class="text">after</div>',
    "```js\n**x** <b>\n```": "<pre><code>**x** &lt;b&gt;</code></pre>",
}
RENDER = """([text]) => import("/static/markdown.js").then(({ markdown }) => {
    const names = { person: () => "ann", role: () => "red", channel: () => "art" };
    const node = document.createElement("div");
    node.append(...markdown(text, names));
    return node.innerHTML;
})"""
LAYOUT: list[dict[str, Any]] = [
    {
        "type": 17,
        "accent_color": 0xFF0000,
        "components": [
            {"type": 10, "content": "# A title"},
            {
                "type": 9,
                "components": [{"type": 10, "content": "beside"}],
                "accessory": {"type": 2, "style": 2, "label": "Press", "custom_id": "a"},
            },
            {"type": 14, "divider": True, "spacing": 2},
            {
                "type": 12,
                "items": [
                    {"media": {"url": "https://cdn.simcord.invalid/a.png"}, "description": "one"},
                    {"media": {"url": "https://cdn.simcord.invalid/b.png"}, "description": "two", "spoiler": True},
                ],
            },
            {
                "type": 13,
                "file": {"url": "https://cdn.simcord.invalid/recipe.json"},
                "name": "recipe.json",
                "size": 1500,
            },
            {
                "type": 1,
                "components": [
                    {
                        "type": 3,
                        "custom_id": "m",
                        "placeholder": "Which?",
                        "options": [
                            {"label": "One", "value": "1"},
                            {"label": "Two", "value": "2", "description": "second"},
                        ],
                    }
                ],
            },
            {"type": 1, "components": [{"type": 2, "style": 1, "label": "Off", "custom_id": "o", "disabled": True}]},
        ],
    }
]
DRAW = """([layout]) => import("/static/components.js").then(({ components }) => {
    window.pressed = [];
    const context = {
        names: {}, server: { people: [], roles: [], channels: [] },
        press: (node, action) => window.pressed.push(action),
    };
    document.querySelector("#messages").replaceChildren(...components(layout, context));
})"""
NAMELESS = """() => [...document.querySelectorAll("button, a[href], input, select, textarea, [tabindex]")]
    .filter(node => !node.closest("[aria-hidden=true]") && node.checkVisibility())
    .filter(node => !(node.getAttribute("aria-label") || node.innerText?.trim() || node.labels?.length
        || node.matches("li") || node.placeholder))
    .map(node => node.outerHTML.slice(0, 100))"""


@pytest.mark.parametrize("text", MARKDOWN)
def test_text_is_drawn_as_discord_does_and_never_as_html(shared: PreviewPage, text: str) -> None:
    assert shared.page.evaluate(RENDER, [text]) == f'<div class="text">{MARKDOWN[text]}</div>'


@pytest.mark.parametrize("text", BLOCKS)
def test_blocks_of_text(shared: PreviewPage, text: str) -> None:
    assert shared.page.evaluate(RENDER, [text]) == BLOCKS[text]


def test_times_count_on_and_spoilers_open(shared: PreviewPage) -> None:
    html = shared.page.evaluate(RENDER, ["<t:0:R> ||hidden||"])
    assert re.search(r'<time class="stamp"[^>]*>\d+ years ago</time>', html)
    assert 'aria-label="Spoiler: show it"' in html


FORM = """() => import("/static/forms.js").then(({ openForm }) => openForm({ form: "1", modal: { title: "A form",
    components: [
        { type: 18, label: "Tell me", description: "Or not", component: { type: 23, custom_id: "tell" } },
        { type: 18, label: "Several", component: { type: 3, custom_id: "s", max_values: 2,
            options: [{ label: "One", value: "1" }, { label: "Two", value: "2" }] } },
    ] } }, () => {}))"""
SIZES = {"360": (360, 844), "390": (390, 844), "1280": (1280, 844)}
NARROW_AND_WIDE = pytest.mark.parametrize("size", [SIZES["390"], SIZES["1280"]], ids=["390", "1280"])
LABELS = [["Upscale 1", "Upscale 2", "Upscale 3", "Upscale 4"], ["All settings", "Keep settings", "Delete", "Report"]]


def box_of(found: Locator) -> FloatRect:
    box = found.bounding_box()
    assert box is not None
    return box


def test_a_box_to_tick_is_beside_its_words_and_a_title_within_its_boxes(shared: PreviewPage) -> None:
    page = shared.page
    page.evaluate(FORM)
    tick, words = box_of(page.get_by_role("checkbox", name="Tell me")), box_of(page.get_by_text("Or not"))
    assert tick["y"] < words["y"] + words["height"] / 2 < tick["y"] + 2 * tick["height"]
    assert tick["x"] > words["x"]
    title, boxes = box_of(page.locator(".boxes legend")), box_of(page.locator(".boxes"))
    assert title["y"] > boxes["y"] + 2
    page.keyboard.press("Escape")


def test_components_v2(page: PreviewPage) -> None:
    page.page.route("**/files/*.png", lambda route: route.fulfill(path=EXAMPLES / "fox.webp"))
    page.page.evaluate(DRAW, [LAYOUT])
    expect(page.page.get_by_role("heading", name="A title")).to_be_visible()
    page.page.get_by_role("button", name="Press").click()
    page.page.get_by_role("combobox", name="Which?").select_option(label="Two – second")
    expect(page.page.get_by_role("button", name="Off")).to_be_disabled()
    expect(page.page.get_by_role("link", name="recipe.json")).to_have_attribute("download", "recipe.json")
    assert page.find(".covered:not(.open)").count() == 1
    page.page.get_by_role("button", name="Spoiler").click()
    assert page.find(".covered:not(.open)").count() == 0
    assert page.page.evaluate("() => window.pressed") == [
        {"kind": "click", "custom_id": "a"},
        {"kind": "select", "custom_id": "m", "values": ["2"]},
    ]


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_four_buttons_stand_in_even_rows(page: PreviewPage, size: tuple[int, int]) -> None:
    buttons = [[{"type": 2, "style": 1, "label": label, "custom_id": label} for label in labels] for labels in LABELS]
    page.page.evaluate(DRAW, [[{"type": 17, "components": [{"type": 1, "components": row} for row in buttons]}]])
    rows = Counter(box_of(button)["y"] for button in page.find("#messages .button").all())
    assert list(rows.values()) == ([4, 4] if size[0] > 700 else [4, 2, 2])
    cut = "nodes => nodes.filter(node => node.scrollWidth > node.clientWidth).map(node => node.innerText)"
    assert page.find("#messages .button").evaluate_all(cut) == []


@NARROW_AND_WIDE
def test_every_persons_name_and_part_can_be_read(page: PreviewPage) -> None:
    texts = page.find("#viewer option").all_inner_texts()
    room = """(node, text) => {
        const style = getComputedStyle(node), line = document.createElement("canvas").getContext("2d");
        line.font = style.font;
        const arrow = 20, sides = parseFloat(style.paddingLeft) + parseFloat(style.paddingRight);
        return node.clientWidth - sides - arrow - line.measureText(text).width;
    }"""
    assert min(page.find("#viewer").evaluate(room, text) for text in texts) >= 0


def test_everything_has_a_name_and_an_order(page: PreviewPage) -> None:
    assert page.page.evaluate(NAMELESS) == []
    assert page.find("img:not([alt])").count() == 0
    page.page.keyboard.type("/imagine ")
    assert page.page.evaluate(NAMELESS) == []
    page.page.keyboard.press("Backspace")
    page.find("#words").fill("")
    order = []
    page.find("#viewer").focus()
    for _ in range(3):
        page.page.keyboard.press("Tab")
        order.append(page.page.evaluate("() => document.activeElement.id || document.activeElement.className"))
    assert order == ["scroll", "author", "picture"]
    page.find("#words").focus()
    page.page.keyboard.press("Tab")
    assert page.page.evaluate("() => document.activeElement.id") == "send"
    page.page.keyboard.press("Shift+Tab")
    page.page.keyboard.press("Shift+Tab")
    assert page.page.evaluate("() => document.activeElement.id") == "attach"


def test_an_empty_channel_says_what_to_do(page: PreviewPage) -> None:
    empty = page.find("#empty")
    expect(empty).to_be_hidden()
    page.page.get_by_role("button", name="# lounge").click()
    expect(empty).to_have_text(re.compile("Nothing has been said in #lounge yet. Describe a picture"))
    expect(empty).to_be_visible()
    page.page.get_by_role("button", name="# pictures").click()
    page.wait("Welcome!")
    expect(empty).to_be_hidden()


def test_new_messages_are_announced(page: PreviewPage) -> None:
    page.command("help")
    expect(page.find("#said")).to_contain_text("Reverie: ")


@NARROW_AND_WIDE
def test_nothing_is_wider_than_the_page(page: PreviewPage, size: tuple[int, int]) -> None:
    width_px, _ = size
    wide = "() => document.scrollingElement.scrollWidth"
    sideways = "node => node.scrollWidth > node.clientWidth"
    page.command("help")
    page.command("gallery", whose="Pictures of this server")
    assert page.page.evaluate(wide) == width_px
    assert not page.find("#scroll").evaluate(sideways)
    page.offered("imagine")
    page.page.keyboard.press("Enter")
    page.fill("prompt", "a very long prompt with many words " * 8)
    page.fill("negative", "mud")
    assert page.page.evaluate(wide) == width_px
    if width_px < 700:
        page.find("#drawer").click()
        page.page.get_by_role("button", name="# lounge").click()
        expect(page.find("#channel")).to_have_text("# lounge")


def test_the_telephones_page_shows_the_same(tab: PreviewPage, address: str) -> None:
    tab.resize(1280, 720)
    tab.page.goto(f"{address}telephone")
    frame = tab.page.frame_locator("iframe")
    expect(frame.locator("li.message").first).to_contain_text("Welcome")
