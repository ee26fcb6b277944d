"""Contact sheets, curves and code maps hold what they are given, in the right place."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from notebooks.sheets import GAP_PX, TEXT_PX, code_map, contact_sheet, jpeg, loss_curve, timelapse_tag

RED, BLUE = (200, 0, 0), (0, 0, 200)
TOP_PX = TEXT_PX + 2 * GAP_PX


def square(colour: tuple[int, int, int]) -> Image.Image:
    return Image.new("RGB", (32, 32), colour)


def test_a_sheet_has_each_picture_in_its_row_and_column_and_leaves_missing_ones_white() -> None:
    sheet = contact_sheet([[square(RED), None], [None, square(BLUE)]], ["a", "b"], side_px=50)
    centres = [[(GAP_PX + column * 54 + 25, TOP_PX + row * 54 + 25) for column in (0, 1)] for row in (0, 1)]
    found = [[sheet.getpixel(place) for place in row] for row in centres]
    white = (255, 255, 255)
    assert found == [[RED, white], [white, BLUE]]


def test_row_labels_widen_the_sheet() -> None:
    plain, worded = (contact_sheet([[square(RED)]], ["a"], down, 50) for down in ((), ["learning rate 0.1"]))
    assert worded.width > plain.width + 60
    assert worded.height == plain.height
    assert np.asarray(worded)[TOP_PX:, : worded.width - 60].min() < 100


def test_a_wide_picture_keeps_its_shape() -> None:
    sheet = contact_sheet([[Image.new("RGB", (64, 32), RED)]], ["a"], side_px=40)
    red = (np.asarray(sheet) == RED).all(axis=2)
    assert (red.any(axis=0).sum(), red.any(axis=1).sum()) == (40, 20)


def test_a_falling_loss_falls_from_left_to_right() -> None:
    curve = np.asarray(loss_curve([3.0, 2.0, 1.0], 3)).astype(int)
    blue = np.argwhere((curve[:, :, 2] - curve[:, :, 0]) > 100)
    assert blue[blue[:, 1].argmin(), 0] < blue[blue[:, 1].argmax(), 0]
    assert blue[:, 1].max() > 300


def test_half_of_the_steps_take_half_of_the_width() -> None:
    curve = np.asarray(loss_curve([3.0, 2.0, 1.0], 6)).astype(int)
    assert 170 < np.argwhere((curve[:, :, 2] - curve[:, :, 0]) > 100)[:, 1].max() < 200


@pytest.mark.parametrize("losses", [[], [1.0], [2.0, 2.0]])
def test_a_curve_of_nothing_or_of_a_constant_can_be_drawn(losses: list[float]) -> None:
    assert loss_curve(losses, 5).size == (320, 192)


def test_the_same_code_has_the_same_colour_and_another_code_another_one() -> None:
    codes = np.array([[7, 8, 7], [9, 7, 2047]])
    shown = code_map(codes, side_px=30)
    assert shown.size == (30, 20)
    colours = [[shown.getpixel((column * 10 + 5, row * 10 + 5)) for column in range(3)] for row in range(2)]
    assert colours[0][0] == colours[0][2] == colours[1][1]
    assert len({colours[0][0], colours[0][1], colours[1][0], colours[1][2]}) == 4


def test_a_jpeg_can_be_read_again() -> None:
    with Image.open(BytesIO(jpeg(square(RED)))) as image:
        assert (image.format, image.size) == ("JPEG", (32, 32))


def test_a_timelapse_is_inside_its_element() -> None:
    assert timelapse_tag(b"abc", "a timelapse") == '<img alt="a timelapse" src="data:image/webp;base64,YWJj">'
