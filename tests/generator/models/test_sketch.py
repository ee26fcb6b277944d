"""Things of a prompt, laid out and posed."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch

from generator.models.drawings.stored import STYLES, StoredDrawings
from generator.models.lexicon import Lexicon
from generator.models.model_set import Models
from generator.models.sketch import Pose, Sketcher
from tests.generator.drawn import stored_ink, stored_sprite

LINE = STYLES.index("line")


@pytest.fixture(scope="module")
def sketcher(starter: Models) -> Sketcher:
    assert starter.prior is not None
    return starter.prior.sketcher


def boxes(sketcher: Sketcher, text: str, height: int = 128, width: int = 128) -> list[tuple[int, int, int, int]]:
    """Left, top, right and bottom of each connected drawing, from left to right."""
    mask = sketcher.layer(sketcher.read(text), Pose(), height, width).mask[0] > 0.5
    found = []
    while mask.any():
        region = torch.zeros_like(mask)
        region[tuple(torch.nonzero(mask)[0])] = True
        while not torch.equal(grown := near(region) & mask, region):
            region = grown
        if region.sum() > 60:
            rows, columns = torch.nonzero(region.any(dim=1))[:, 0], torch.nonzero(region.any(dim=0))[:, 0]
            found.append((int(columns[0]), int(rows[0]), int(columns[-1]), int(rows[-1])))
        mask = mask & ~region
    return sorted(found)


def near(region: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.max_pool2d(region[None, None].float(), 3, 1, 1)[0, 0] > 0


def read(sketcher: Sketcher, text: str) -> list[tuple[str, int, str, str]]:
    return [(thing.words, thing.count, thing.colour, thing.relation) for thing in sketcher.read(text)]


@pytest.mark.parametrize(
    ("text", "things"),
    [
        ("a cat", [("cat", 1, "", "")]),
        ("three big red cars", [("cars", 3, "red", "")]),
        ("five pears", [("pears", 5, "", "")]),
        ("seven pears", [("pears", 5, "", "")]),
        ("a blue apple and a green pear", [("apple", 1, "blue", ""), ("pear", 1, "green", "")]),
        ("a black and white cat", [("cat", 1, "", "")]),
        ("a cat on a car", [("cat", 1, "", ""), ("car", 1, "", "on")]),
        ("a cat under an umbrella", [("cat", 1, "", ""), ("umbrella", 1, "", "under")]),
        ("a cat in the snow and a dog", [("cat", 1, "", ""), ("dog", 1, "", "")]),
        ("three cats and four dogs", [("cats", 3, "", ""), ("dogs", 2, "", "")]),
        ("a box of apples", [("apples", 3, "", ""), ("box", 1, "", "in")]),
        ("a vase with three red roses", [("roses", 3, "red", ""), ("vase", 1, "", "in")]),
        ("a bowl of cherries", [("cherries", 1, "", ""), ("bowl", 1, "", "in")]),
        ("a cup of tea", [("cup of tea", 1, "", "")]),
        ("a vase of flowers on a table", [("flowers", 3, "", ""), ("vase", 1, "", "in"), ("table", 1, "", "on")]),
        ("a glass of red wine", [("wine", 1, "red", "")]),
        ("a herd of elephants", [("elephants", 3, "", "")]),
        ("a pair of scissors", [("scissors", 2, "", "")]),
        ("a cat in front of a house", [("cat", 1, "", ""), ("house", 1, "", "before")]),
        ("a dog between two cats", [("dog", 1, "", ""), ("cats", 2, "", "between")]),
        ("a woman in a red dress", [("woman", 1, "", ""), ("dress", 1, "red", "dressed")]),
        ("on a table there is an apple", [("apple", 1, "", ""), ("table", 1, "", "on")]),
        ("a dog in a hat", [("dog", 1, "", ""), ("hat", 1, "", "worn")]),
        ("a rabbit in a hat", [("rabbit", 1, "", ""), ("hat", 1, "", "in")]),
        ("a dog inside a hat", [("dog", 1, "", ""), ("hat", 1, "", "in")]),
        ("a rabbit inside a hat", [("rabbit", 1, "", ""), ("hat", 1, "", "in")]),
        ("a coffee in a table", [("coffee", 1, "", ""), ("table", 1, "", "on")]),
        ("on a table, an apple", [("table", 1, "", ""), ("apple", 1, "", "")]),
        ("cats", [("cats", 3, "", "")]),
        ("a cat and dogs", [("cat", 1, "", ""), ("dogs", 3, "", "")]),
        ("dogs and cats", [("dogs", 2, "", ""), ("cats", 2, "", "")]),
        ("dogs, cats and birds", [("dogs", 2, "", ""), ("cats", 2, "", ""), ("birds", 1, "", "")]),
        ("four cats and dogs", [("cats", 4, "", ""), ("dogs", 1, "", "")]),
        ("five cats and dogs", [("cats", 5, "", "")]),
        ("a cat between dogs", [("cat", 1, "", ""), ("dogs", 2, "", "between")]),
        ("robot dogs", [("dogs", 3, "", "")]),
        ("two robot dogs", [("dogs", 2, "", "")]),
        ("vases of flowers", [("flowers", 3, "", "")]),
        ("shoes", [("shoes", 2, "", "")]),
        ("headphones", [("headphones", 1, "", "")]),
        ("cats with hats", [("cats", 3, "", ""), ("hats", 3, "", "worn")]),
        ("two men in coats", [("men", 2, "", ""), ("coats", 2, "", "dressed")]),
        ("cat, dog, moon", [("cat", 1, "", ""), ("dog", 1, "", ""), ("moon", 1, "", "")]),
        ("cat/dog & red hat", [("cat", 1, "", ""), ("dog", 1, "", ""), ("hat", 1, "red", "")]),
        ("a big, red car", [("car", 1, "red", "")]),
        ("a car, red", [("car", 1, "red", "")]),
        ("The car is red, shiny", [("car", 1, "red", "")]),
        ("a cat, red background", [("cat", 1, "", "")]),
        ("a dog with black spots", [("dog", 1, "", "")]),
        ("a cat on the right and a dog on the left", [("dog", 1, "", ""), ("cat", 1, "", "left")]),
        ("on the right a dog, on the left a cat", [("cat", 1, "", ""), ("dog", 1, "", "left")]),
        ("a cat and a dog on the right side of the picture", [("cat", 1, "", ""), ("dog", 1, "", "left")]),
        ("a tree on the left side of a house", [("tree", 1, "", ""), ("house", 1, "", "left")]),
        ("a dog in the foreground and a house in the background", [("dog", 1, "", ""), ("house", 1, "", "before")]),
        ("a house in the background and a dog", [("dog", 1, "", ""), ("house", 1, "", "before")]),
        ("a cake with a cherry on top", [("cherry", 1, "", ""), ("cake", 1, "", "on")]),
        ("a cat in the middle and two dogs", [("cat", 1, "", ""), ("dogs", 2, "", "")]),
        ("two sea horses", [("seahorses", 2, "", "")]),
        ("a lot of cats", [("cats", 3, "", "")]),
        ("100 cats", [("cats", 5, "", "")]),
        ("a 1960 car", [("car", 1, "", "")]),
        (f"{'9' * 5000} cats", [("cats", 3, "", "")]),
        ("1girl, blue hair", [("girl", 1, "", "")]),
        ("mother and child", [("mother", 1, "", ""), ("child", 1, "", "")]),
        ("sun behind clouds", [("sun behind clouds", 1, "", "")]),
        ("a cat and a dog, red", [("cat", 1, "", ""), ("dog", 1, "", "")]),
        ("zxcv", []),
    ],
)
def test_a_prompt_is_read(sketcher: Sketcher, text: str, things: list[tuple[str, int, str, str]]) -> None:
    assert read(sketcher, text) == things


@pytest.mark.parametrize("count", range(1, 6))
def test_as_many_are_laid_out_as_are_asked_for(sketcher: Sketcher, count: int) -> None:
    words = ["one apple", "two apples", "three apples", "four apples", "five apples"]
    assert len(boxes(sketcher, words[count - 1])) == count


@pytest.mark.parametrize("size", [(128, 192), (192, 128), (128, 320)])
def test_a_wide_picture_shows_each_thing_once(sketcher: Sketcher, size: tuple[int, int]) -> None:
    assert len(boxes(sketcher, "an apple", *size)) == 1
    assert len(boxes(sketcher, "an apple and a pear", *size)) == 2


@pytest.mark.parametrize("second", ["a blue car", "a blue chair", "a blue dog"])
def test_things_stand_as_the_words_say(sketcher: Sketcher, second: str) -> None:
    def apart(relation: str) -> tuple[float, float]:
        first, other = middles(sketcher, f"a red apple {relation} {second}")
        return other[0] - first[0], other[1] - first[1]

    assert apart("on")[1] > 20
    assert apart("above")[1] > 30
    assert apart("under")[1] < -12
    assert all(abs(way) < 20 for way in apart("inside"))
    assert apart("next to")[0] > 30
    assert apart("right of")[0] < -30


def coloured(sketcher: Sketcher, text: str, *, mirrored: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
    """Masks `[128, 128]` of what is red, and of what is blue."""
    layer = sketcher.layer(sketcher.read(text), Pose(mirrored=mirrored), 128, 128)
    red, blue = (
        (layer.mask[0] > 0.5) & (layer.image[one] - layer.image[other] > 0.15) for one, other in ((0, 2), (2, 0))
    )
    return red, blue


def middles(
    sketcher: Sketcher, text: str, *, mirrored: bool = False
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Middle of what is red, and of what is blue."""
    seen = coloured(sketcher, text, mirrored=mirrored)
    red, blue = (torch.nonzero(mask).float().mean(dim=0) for mask in seen)
    return (float(red[1]), float(red[0])), (float(blue[1]), float(blue[0]))


@pytest.mark.parametrize(
    ("text", "things", "ground", "unused"),
    [
        ("an octopus underwater", ["octopus"], ("underwater", ""), ()),
        ("an airplane above the clouds", ["airplane"], ("sky", ""), ()),
        ("a forest in autumn", [], ("autumn", ""), ()),
        ("a cyberpunk city at night", [], ("city", "night"), ("cyberpunk",)),
        ("northern lights over the mountains", [], ("mountains", "night"), ()),
        ("a beach ball", ["beach ball"], ("", ""), ()),
        ("a dog and a beach", ["dog"], ("beach", ""), ()),
        ("a star above a house", ["star", "house"], ("", ""), ()),
        ("a duck on a house", ["duck", "house"], ("", ""), ()),
        ("a cat wearing sunglasses", ["cat", "sunglasses"], ("", ""), ("wearing",)),
        ("a cat wearing a red hat", ["cat", "hat"], ("", ""), ()),
        ("a woman with red hair", ["woman with red hair"], ("", ""), ()),
        ("an astronaut riding a horse", ["astronaut", "horse"], ("", ""), ()),
        ("a ball between two trees", ["ball", "trees"], ("", ""), ()),
        ("a whale jumping out of the water", ["whale"], ("sea", ""), ("jumping",)),
        ("a christmas tree in a living room", ["christmas tree"], ("room", ""), ()),
        ("a boy and a girl holding hands", ["boy", "girl"], ("", ""), ("holding", "hands")),
        ("a blue cat with green eyes", ["cat"], ("", ""), ("green", "eyes")),
        ("a house with a red roof", ["house"], ("", ""), ("red", "roof")),
        ("a dog with a ball in its mouth", ["dog", "ball"], ("", ""), ("mouth",)),
        ("a snowman with a carrot nose", ["snowman"], ("", ""), ("carrot", "nose")),
        ("a house without a door", ["house"], ("", ""), ()),
        ("a house and no cat", ["house"], ("", ""), ()),
        ("a robot dog", ["dog"], ("", ""), ("robot",)),
        ("a black and white cat", ["cat"], ("", ""), ("black", "white")),
        ("a giant", ["giant"], ("", ""), ()),
        ("five candles", ["candles"], ("", ""), ()),
        ("a golden retriever", ["retriever"], ("", ""), ()),
        ("love", ["love"], ("", ""), ()),
        ("abstract art", [], ("", ""), ("abstract", "art")),
    ],
)
def test_a_prompt_is_taken_apart(
    sketcher: Sketcher, text: str, things: list[str], ground: tuple[str, str], unused: tuple[str, ...]
) -> None:
    parsed = sketcher.parse(text)
    assert [thing.words for thing in parsed.things] == things
    assert (parsed.scenery.scene, parsed.scenery.light) == ground
    assert (*parsed.uncombined, *parsed.unused) == unused


@pytest.mark.parametrize(
    ("text", "sizes"),
    [
        ("a tiny mouse next to a big elephant", [0.35, 1.4]),
        ("a small red car and a dog", [0.55, 1.0]),
        ("a giant mushroom", [1.8]),
        ("two large apples", [1.4]),
    ],
)
def test_sizes_are_read(sketcher: Sketcher, text: str, sizes: list[float]) -> None:
    parsed = sketcher.parse(text)
    assert [thing.size for thing in parsed.things] == sizes
    assert not parsed.unused


def test_things_are_as_large_as_the_words_say(sketcher: Sketcher) -> None:
    def height(box: tuple[int, int, int, int]) -> int:
        return box[3] - box[1]

    small, usual, big = (height(boxes(sketcher, f"{size} apple")[0]) for size in ("a small", "an", "a huge"))
    assert 1.5 * small < usual < 0.9 * big and big < 128
    left, right = boxes(sketcher, "a small apple and a big apple")
    assert 1.8 * height(left) < height(right) and abs(left[3] - right[3]) <= 3  # on one line
    few, many = boxes(sketcher, "two small apples"), boxes(sketcher, "two apples")
    assert len(few) == 2 and 1.2 * height(few[0]) < height(many[0])
    assert len(boxes(sketcher, "two small apples and three big apples")) == 5
    for relation in ("on", "inside", "under"):
        little, large = coloured(sketcher, f"a small red apple {relation} a big blue car")
        same = coloured(sketcher, f"a red apple {relation} a blue car")
        assert little.sum() / large.sum() < 0.7 * same[0].sum() / same[1].sum()


def test_a_thing_between_others_stands_in_the_middle(sketcher: Sketcher) -> None:
    red, blue = coloured(sketcher, "a red apple between two blue cars")
    columns = torch.nonzero(red.any(dim=0))[:, 0]
    assert blue[:, : columns[0]].any() and blue[:, columns[-1] + 1 :].any() and not blue[:, columns].any()


def test_clothes_hide_the_lower_part_of_their_wearer(sketcher: Sketcher) -> None:
    wearer, clothes = coloured(sketcher, "a red bear in a blue dress")
    rows, below = (torch.nonzero(seen.any(dim=1))[:, 0] for seen in (wearer, clothes))
    assert rows[0] < below[0] - 15 and rows[-1] < below[-1] - 20


@pytest.mark.parametrize("mirrored", [False, True])
def test_of_several_relations_each_holds(sketcher: Sketcher, mirrored: bool) -> None:
    text = "a red apple on a blue car on a green sofa"
    red, blue = coloured(sketcher, text, mirrored=mirrored)
    layer = sketcher.layer(sketcher.read(text), Pose(mirrored=mirrored), 128, 128)
    rest = (layer.mask[0] > 0.5) & ~red & ~blue
    apple, car, sofa = (torch.nonzero(seen)[:, 0].float().mean() for seen in (red, blue, rest))
    assert apple + 10 < car < sofa - 10
    assert len(boxes(sketcher, text)) == 1


def test_clauses_stand_side_by_side(sketcher: Sketcher) -> None:
    left, right = boxes(sketcher, "an apple on a car and a pear on a sofa")
    assert left[2] < right[0]
    text = "a red apple on a green car and a red pear under a blue umbrella"
    red, blue = coloured(sketcher, text)
    assert (red & (torch.arange(128) < 64)).any() and (red & (torch.arange(128) >= 64)).any()
    assert not blue[:, :64].any()
    red, blue = coloured(sketcher, "a red apple on a blue car and a green pear")
    assert not red[:, 64:].any() and not blue[:, 64:].any()
    assert len(boxes(sketcher, "an apple between a pear and two lemons")) == 4


def test_a_thing_on_another_touches_it(sketcher: Sketcher) -> None:
    assert len(boxes(sketcher, "a dog on a skateboard")) == 1
    assert len(boxes(sketcher, "a dog above a skateboard")) == 2


@pytest.mark.parametrize("container", ["bucket", "box", "bowl"])
def test_a_thing_in_a_box_stands_out_of_it_behind_its_front(sketcher: Sketcher, container: str) -> None:
    inside, box = coloured(sketcher, f"a red apple in a blue {container}")
    rows, front = (torch.nonzero(seen.any(dim=1))[:, 0] for seen in (inside, box))
    assert rows[0] < front[0] and rows[-1] < front[-1] - 20
    assert box[rows[-1] + 1 : rows[-1] + 4].any()
    assert read(sketcher, f"an apple in a {container}")[1][3] == "in"


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("text", ["{} to the left of {}", "{1} right of {0}", "{} on the left, {} on the right"])
@pytest.mark.parametrize("rest", ["", " on a table"])
def test_left_and_right_are_those_of_the_picture(sketcher: Sketcher, text: str, rest: str, mirrored: bool) -> None:
    words = text.format("a red apple", "a blue car") + rest
    apple, car = middles(sketcher, words, mirrored=mirrored)
    assert apple[0] < car[0] - 10


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("wearer", ["dog", "horse", "lion", "duck"])
def test_a_hat_sits_on_the_head_of_its_wearer(sketcher: Sketcher, wearer: str, mirrored: bool) -> None:
    hat, body = coloured(sketcher, f"a blue {wearer} with a red top hat", mirrored=mirrored)
    above, below = torch.nonzero(hat), torch.nonzero(body)
    assert above[:, 0].min() < below[:, 0].min() and above[:, 0].max() < below[:, 0].float().mean()
    head = below[below[:, 0] < above[:, 0].max() + 8][:, 1].float()
    assert head.min() - 4 <= above[:, 1].float().mean() <= head.max() + 4


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("wearer", ["cat", "dog", "monkey"])
def test_a_hat_is_not_on_a_tail(sketcher: Sketcher, wearer: str, mirrored: bool) -> None:
    hat, body = coloured(sketcher, f"a blue {wearer} with a red top hat", mirrored=mirrored)
    ahead = torch.nonzero(body)[:, 1].float().mean() - torch.nonzero(hat)[:, 1].float().mean()
    assert ahead < -8 if mirrored else ahead > 8


def test_two_wearers_and_a_hat_stand_side_by_side(sketcher: Sketcher) -> None:
    assert len(boxes(sketcher, "two apples with a top hat")) == 3


def test_each_of_several_wearers_has_its_own(sketcher: Sketcher) -> None:
    found = boxes(sketcher, "two cats with hats")
    assert len(found) == 2
    alone = boxes(sketcher, "two cats")
    assert all((box[3] - box[1]) * 1.2 > box[2] - box[0] for box in found)
    assert all(box[3] - box[1] < box[2] - box[0] for box in alone)


def test_a_scenic_drawing_alone_fills_the_picture(sketcher: Sketcher) -> None:
    assert sketcher.layer(sketcher.read("a bridge at night"), Pose(), 64, 96).mask.all()
    assert not sketcher.layer(sketcher.read("two cityscapes"), Pose(), 64, 96).mask.all()


def test_a_drawing_in_ink_gets_the_colour_of_its_kind(sketcher: Sketcher) -> None:
    layer = sketcher.layer(sketcher.read("a waterfall"), Pose(), 128, 128)
    seen = layer.image[:, (layer.mask[0] > 0.9) & (layer.image.amin(dim=0) < 0.7)]
    assert seen.mean(dim=1).argmax() == 2
    inked = sketcher.layer(sketcher.read("a waterfall"), Pose(style=STYLES.index("stencil")), 128, 128, "stencil")
    assert (inked.image.amax(dim=0) - inked.image.amin(dim=0)).max() < 0.3


def test_a_colour_is_that_of_its_thing(sketcher: Sketcher) -> None:
    image = sketcher.layer(sketcher.read("a blue apple and a green pear"), Pose(), 128, 128).image
    left, right = image[:, :, :64].flatten(1), image[:, :, 64:].flatten(1)
    assert left[:, left.amin(dim=0) < 0.8].mean(dim=1).argmax() == 2
    assert right[:, right.amin(dim=0) < 0.8].mean(dim=1).argmax() == 1


def test_four_seeds_in_a_row_are_four_pictures(sketcher: Sketcher) -> None:
    things = sketcher.read("a robot")
    for first in (0, 1, 4711):
        layers = [sketcher.layer(things, Pose.of_seed(first + at), 64, 64).image for at in range(4)]
        distances = [float((one - other).abs().mean()) for one, other in itertools.combinations(layers, 2)]
        assert min(distances) > 0.06


def test_four_seeds_take_turns_with_all_coloured_drawings_and_things_together_have_one_style() -> None:
    rows = torch.full((2, len(STYLES)), -1)
    for number, style in enumerate(("3d", "noto", "flat", "clipart")):
        rows[0, STYLES.index(style)] = number
    rows[1, STYLES.index("noto")], rows[1, STYLES.index("flat")] = 4, 5
    sketcher = Sketcher(Lexicon([["cat"], ["ship"]]), StoredDrawings(rows, [stored_sprite(n) for n in range(6)]))
    cat, ship = sketcher.read("a cat and a ship")
    alone = [sketcher.layer([cat], Pose(turn), 64, 64).image for turn in range(5)]
    assert not any(torch.equal(*pair) for pair in itertools.combinations(alone[:4], 2))
    assert torch.equal(alone[4], alone[0])
    for turn in range(4):
        assert sketcher._styles([cat, ship], Pose(turn)) in ([STYLES.index("noto")] * 2, [STYLES.index("flat")] * 2)


def test_four_seeds_of_a_thing_with_one_drawing_differ() -> None:
    rows = torch.full((1, len(STYLES)), -1)
    rows[0, LINE] = 0
    sketcher = Sketcher(Lexicon([["cat"]]), StoredDrawings(rows, [stored_sprite(5)]))
    poses = [Pose(turn, turn > 1) for turn in range(4)]
    layers = [sketcher.layer(sketcher.read("a cat"), pose, 64, 64).image for pose in poses]
    assert torch.equal(layers[0], layers[3])  # where seeds also move and scale it
    assert torch.equal(layers[1], layers[2])
    assert not torch.equal(layers[0], layers[1])


def test_a_variation_is_another_pose_of_its_parent() -> None:
    pose = Pose.of_seed(7)
    assert pose.varied(0.2, 5).drawing == pose.varied(0.5, 5).drawing == pose.drawing
    assert pose.varied(0.2, 5).mirrored == pose.mirrored != pose.varied(0.5, 5).mirrored
    assert pose.varied(0.9, 5).drawing == pose.drawing + 1
    assert len({pose.varied(0.5, seed) for seed in range(4)}) == 4
    assert pose.varied(0.5, 5) == pose.varied(0.5, 5)


def test_a_variation_keeps_the_style_that_was_asked_for() -> None:
    assert Pose(style=3).varied(0.9, 5).style == 3


def test_a_thing_without_the_style_gets_its_look_and_keeps_its_colour() -> None:
    rows = torch.full((2, len(STYLES)), -1)
    rows[0, 0], rows[0, LINE], rows[1, 0] = 0, 1, 2
    streams = [stored_sprite(1), stored_ink(), stored_sprite(2)]
    sketcher = Sketcher(Lexicon([["cat"], ["ship"]]), StoredDrawings(rows, streams, [LINE]))
    cat, ship = sketcher.read("a cat and a ship")
    pose = Pose(style=LINE)
    alone = sketcher.layer([replace(ship, colour="red")], pose, 64, 64, "lines")
    red, green, _ = alone.image[:, alone.mask[0] > 0.9]
    assert ((red - green) > 0.3).float().mean() > 0.03  # the ink
    assert not sketcher.layer([ship], pose, 64, 64, "watercolour").styled  # the whole picture gets it
    both = sketcher.layer([cat, ship], pose, 64, 64, "lines")
    assert (both.styled, both.inked) == (True, True)
    plain = sketcher.layer([cat, ship], pose, 64, 64)
    assert torch.equal(both.image[:, :, :30], plain.image[:, :, :30])
    right = both.image[:, :, 34:][:, both.mask[0, :, 34:] > 0.9]
    assert torch.allclose(right[0], right[1], atol=0.02)  # ink has no colour
    assert not torch.allclose(plain.image[0, :, 34:], plain.image[1, :, 34:], atol=0.02)
