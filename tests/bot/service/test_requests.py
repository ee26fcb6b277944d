"""Conversion of typed text to a request, or to an error message."""

from __future__ import annotations

from io import BytesIO

import pytest
from PIL import Image

from bot.config import Limits
from bot.errors import InvalidJobSpec, OverLimit, Refused
from bot.service.requests import build, compose, notes, picture_request, texts_of, texts_of_spec
from bot.service.values import ImageInput, JobSpec
from generator import GenerationRequest, Settings, Size

BASE = Settings(size="128x128", steps=20, cutouts=8)


def picture(file_format: str = "PNG", size: tuple[int, int] = (40, 30)) -> bytes:
    out = BytesIO()
    Image.new("RGB", size, "red").save(out, file_format)
    return out.getvalue()


def spec(prompt: str = "a red apple", **values: object) -> JobSpec:
    return JobSpec(**{"prompt": prompt, **values})


def built(asked: JobSpec, limits: Limits | None = None, **values: object) -> GenerationRequest:
    return build(asked, limits or Limits(), **{"settings": BASE, "models": "tiny", **values})


def refused(asked: JobSpec, limits: Limits | None = None) -> Refused:
    with pytest.raises(Refused) as caught:
        built(asked, limits)
    assert caught.value.sentence.said("en")
    assert caught.value.sentence.said("de")
    return caught.value


def test_omitted_options_use_the_defaults_and_a_random_seed() -> None:
    requests = [built(spec()) for _ in range(2)]
    assert requests[0].settings.size == Size(128, 128)
    assert (requests[0].settings.steps, requests[0].models) == (20, "tiny")
    assert requests[0].settings.seed != requests[1].settings.seed


def test_text_is_read_as_a_person_types_it() -> None:
    settings = built(spec(settings={"size": "200x100", "steps": "30", "exact": "yes", "seed": "5"})).settings
    assert (settings.size, settings.steps, settings.exact, settings.seed) == (Size(200, 100), 30, True, 5)


def test_defaults_give_way_to_the_servers_limits() -> None:
    base = Settings(size="512x256", steps=300, cutouts=32)
    settings = built(spec(), Limits(size_px=128, steps=50, cutouts=16), settings=base).settings
    assert (settings.size, settings.steps, settings.cutouts) == (Size(128, 64), 50, 16)


@pytest.mark.parametrize(
    ("settings", "bounds"),
    [
        ({"size": "99999"}, "each from 32 to 640,"),
        ({"size": "0"}, "each from 32 to 640,"),
        ({"steps": "99999"}, "from 1 to 50."),
        ({"cutouts": 0}, "from 1 to 16."),
        ({"learning_rate": 9.0}, "from 0.0001 to 2.0."),
    ],
)
def test_a_value_out_of_range_is_refused_with_the_bounds_of_this_server(
    settings: dict[str, object], bounds: str
) -> None:
    assert bounds in str(refused(spec(settings=settings), Limits(size_px=640, steps=50, cutouts=16)))


def test_a_default_start_that_needs_words_gives_way_where_there_are_none() -> None:
    base, starts = BASE.merged({"start": "prior"}), {"random": {"steps": 80}}
    seen = (ImageInput(data=picture()),)
    for prompt in ("", "fog:-1", "fog:-1 ^ a castle"):
        made = built(spec(prompt, image_prompts=seen), settings=base, starts=starts).settings
        assert (made.start, made.steps) == ("random", 80), prompt
    for prompt in ("a castle", "a castle ^ fog:-1"):
        assert built(spec(prompt, image_prompts=seen), settings=base, starts=starts).settings.start == "prior", prompt
    asked = spec("", image_prompts=seen, settings={"start": "prior"})
    assert built(asked, settings=base).settings.start == "prior", "what was asked for is left to the models' check"


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"steps": 0}, "steps"),
        ({"steps": "many"}, "steps"),
        ({"steps": 10**40}, "steps"),
        ({"size": "huge"}, "size"),
        ({"size": "4x4"}, "size"),
        ({"size": "99999x1"}, "size"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**32}, "seed"),
        ({"learning_rate": "fast"}, "learning_rate"),
        ({"learning_rate": 99}, "learning_rate"),
        ({"optimiser": "sgd"}, "optimiser"),
        ({"start": "nowhere"}, "start"),
        ({"start": "init"}, "start"),
        ({"start": "parent"}, "start"),
        ({"cutouts": 0}, "cutouts"),
        ({"flip": 2}, "flip"),
        ({"exact": "maybe"}, "exact"),
        ({"colour of the sky": 3}, "colour of the sky"),
    ],
)
def test_every_option_out_of_range_gets_a_sentence_that_names_it(settings: dict[str, object], field: str) -> None:
    error = refused(spec(settings=settings))
    assert isinstance(error, InvalidJobSpec)
    assert error.field == field
    assert field in str(error)


@pytest.mark.parametrize("settings", [{"steps": 601}, {"size": "1000x100"}, {"size": "100x1000"}, {"cutouts": 65}])
def test_requests_over_the_servers_limits_are_refused(settings: dict[str, object]) -> None:
    assert isinstance(refused(spec(settings=settings)), OverLimit)


@pytest.mark.parametrize("count", [0, -1, 5])
def test_there_are_one_to_four_pictures(count: int) -> None:
    assert isinstance(refused(spec(count=count)), InvalidJobSpec)


def test_a_server_can_allow_fewer_pictures_at_a_time() -> None:
    refused(spec(count=2), Limits(count=1))


def test_posed_compositions_need_no_words_beside_pictures_and_give_each_scene_its_steps() -> None:
    posed = BASE.merged({"start": "prior", "composition": "posed", "steps": 2})
    blend = spec("", image_prompts=(ImageInput(data=picture()),))
    assert built(blend, settings=posed).settings.start == "prior"
    assert built(blend, settings=BASE.merged({"start": "prior"})).settings.start == "random"
    assert built(spec("a cat ^ a dog ^ a fox"), settings=posed).settings.steps == 6
    assert built(spec("a cat ^ a dog", settings={"steps": "3"}), settings=posed).settings.steps == 3
    assert built(spec("a cat ^ a dog ^ a fox"), Limits(steps=5), settings=posed).settings.steps == 5


@pytest.mark.parametrize(
    ("settings", "steps"), [({}, 20), ({"start": "random"}, 80), ({"start": "random", "steps": "7"}, 7)]
)
def test_each_start_has_its_own_settings(settings: dict[str, object], steps: int) -> None:
    base = BASE.merged({"start": "prior"})
    assert built(spec(settings=settings), settings=base, starts={"random": {"steps": 80}}).settings.steps == steps


def test_a_loss_in_the_prompt_or_in_the_defaults_has_its_own_settings_and_its_own_sentences() -> None:
    base, starts = BASE.merged({"start": "prior"}), {"losses": {"steps": 40}}
    made = built(spec(settings={"palette": "navy, gold", "contrast": "1"}), settings=base, starts=starts).settings
    assert (made.palette, made.contrast, made.steps) == ("#000080, #ffd700", 1.0, 40)
    assert built(spec(), settings=base.merged({"palette": "red"}), starts=starts).settings.steps == 40
    assert built(spec(settings={"palette": "none"}), settings=base, starts=starts).settings.steps == 20
    assert "the colour 'bleu', which is unknown" in str(refused(spec(settings={"palette": "bleu"})))
    silent = {"symmetry": "both", "symmetry_weight": "0"}
    assert "symmetry has no effect with symmetry_weight 0" in str(refused(spec(settings=silent)))


@pytest.mark.parametrize("prompt", ["", "   ", "|", "^", "a:0", "a:-1", "a |", ":2", "x" * 2001, "a:999", "\u200b"])
def test_a_prompt_that_says_nothing_is_refused(prompt: str) -> None:
    error = refused(spec(prompt))
    assert isinstance(error, InvalidJobSpec)
    assert error.field == "prompt"


@pytest.mark.parametrize(
    "prompt",
    ["🍎🍏", "تفاحة حمراء", "@everyone", "**bold** _it_", "```\na red apple\n```", "a\u202eb", "Star Wars: a new hope"],
)
def test_a_prompt_of_any_letters_is_taken(prompt: str) -> None:
    assert built(spec(prompt)).scenes


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "GIF"])
def test_a_picture_to_begin_with_is_read_in_any_of_four_forms(file_format: str) -> None:
    request = built(spec(init_image=picture(file_format)))
    assert request.settings.start == "init"
    assert request.init_image is not None
    assert Image.open(BytesIO(request.init_image)).size == (40, 30)


@pytest.mark.parametrize(
    "data", [b"", b"GIF89a", b"<html>", picture()[:60], b"\x89PNG\r\n\x1a\n" + b"\0" * 99, picture("BMP")]
)
def test_a_broken_picture_is_refused(data: bytes) -> None:
    assert isinstance(refused(spec(init_image=data)), InvalidJobSpec)
    assert isinstance(refused(spec(image_prompts=(ImageInput(data=data),))), InvalidJobSpec)


def test_a_picture_to_begin_with_goes_with_no_other_start() -> None:
    assert isinstance(refused(spec(init_image=picture(), settings={"start": "random"})), InvalidJobSpec)


def test_pictures_alone_can_pull() -> None:
    request = built(spec("", image_prompts=(ImageInput(data=picture()), ImageInput(data=picture(), weight=-0.5))))
    assert [item.weight for item in request.image_prompts] == [1.0, -0.5]
    assert isinstance(refused(spec("", image_prompts=(ImageInput(data=picture(), weight=-1),))), InvalidJobSpec)
    assert isinstance(refused(spec("", image_prompts=(ImageInput(data=picture(), weight=1e9),))), InvalidJobSpec)


@pytest.mark.parametrize(
    ("prompt", "style", "negative", "whole"),
    [
        ("an apple", "", "", "an apple"),
        ("an apple", "ink:0.5", "", "an apple | ink:0.5"),
        ("an apple", "", "text, blurry", "an apple | text, blurry:-0.5"),
        ("an apple", "", "text | blur:2", r"an apple | text:-0.5 | blur\:2:-0.5"),
        ("an apple", "", "a ^ b", r"an apple | a \^ b:-0.5"),
        ("day ^ night", "ink", "fog", "day | ink | fog:-0.5 ^ night | ink | fog:-0.5"),
        ("```an apple```", "ink", "", "an apple | ink"),
        ("", "ink", "", "ink"),
        ("", "", "fog", "fog:-0.5"),
    ],
)
def test_style_and_negative_are_put_to_each_scene(prompt: str, style: str, negative: str, whole: str) -> None:
    assert compose(prompt, style, negative) == whole


def test_a_negative_prompt_pushes_away() -> None:
    request = built(spec(negative="10:30 | x:2:0.4 | a\\|b"))
    assert [prompt.weight for prompt in request.scenes[0].prompts] == [1.0, -0.5, -0.5, -0.5]


def test_a_plain_prompt_needs_no_explanation_and_weights_get_one() -> None:
    assert notes(built(spec("an apple"))) == ()
    said = [note.said() for note in notes(built(spec("a castle:3 | fog:-1 ^ a sea:0 | sky")))]
    assert "castle" in said[0]
    assert "75 %" in said[0]
    assert "away" in said[1]
    assert "no effect" in said[2]


def test_a_long_story_is_explained_in_few_lines() -> None:
    said = notes(built(spec(" | ".join(f"thing {number}" for number in range(30)))))
    assert len(said) == 8
    assert said[-1].said() == "and 23 more"


def test_the_seeds_of_a_grid_follow_one_another_and_come_round() -> None:
    request = GenerationRequest(prompt="a", settings=Settings(seed=2**32 - 1))
    assert [picture_request(request, number).settings.seed for number in (1, 2)] == [2**32 - 1, 0]


def test_all_that_a_request_and_its_parents_say_is_looked_at() -> None:
    parent = GenerationRequest(prompt="a castle ^ a sea:2")
    child = GenerationRequest(prompt="fog", settings=Settings(start="parent"), parent=parent)
    assert texts_of(child) == ["fog", "a castle ^ a sea:2", "a castle | a sea"]


def test_the_blocklist_checks_the_prompt_as_typed_with_its_style_and_as_parsed() -> None:
    texts = texts_of_spec(spec("a castle:2 ^ a sea", negative="fog"), "ink")
    assert texts == [
        "a castle:2 ^ a sea",
        "fog",
        "a castle:2 | ink | fog:-0.5 ^ a sea | ink | fog:-0.5",
        "a castle | ink | fog | a sea | ink | fog",
    ]


@pytest.mark.parametrize("prompt", ["a castle", "a castle:2 | fog:-1 ^ a sea", "```a\\:b```", " a  castle "])
def test_the_texts_of_a_job_spec_include_those_of_its_request(prompt: str) -> None:
    asked = spec(prompt, negative="text | 10:30")
    assert set(texts_of(built(asked, style="ink"))) <= set(texts_of_spec(asked, "ink"))


@pytest.mark.parametrize("prompt", ["x" * 2001, "a:999", "a | " * 40])
def test_a_prompt_that_cannot_be_read_is_refused_before_its_words_are_looked_at(prompt: str) -> None:
    with pytest.raises(InvalidJobSpec):
        texts_of_spec(spec(prompt), "")


def mask(size: tuple[int, int] = (40, 30)) -> bytes:
    out = BytesIO()
    image = Image.new("L", size)
    image.paste(255, (0, 0, 20, 20))
    image.save(out, "PNG")
    return out.getvalue()


def test_a_mask_repaints_the_init_image_at_its_own_size() -> None:
    made = built(spec(init_image=picture(), mask=mask()))
    assert (made.settings.repaint, made.settings.start, made.settings.size) == ("picture", "init", Size(40, 32))
    assert made.mask is not None
    kept = built(spec(init_image=picture(), mask=mask(), settings={"keep": "picture"})).settings
    assert (kept.keep, kept.repaint) == ("picture", "none")
    wide = built(
        spec(init_image=picture(), settings={"outpaint": "left 50%, right 50%", "seed": 1}), Limits(size_px=64)
    )
    assert wide.settings.size == Size(64, 32)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"mask": mask()}, "give an init image"),
        ({"mask": picture(), "init_image": picture()}, "The mask is all black"),
        ({"mask": mask((30, 40)), "init_image": picture()}, "The mask has another shape (30x40)"),
        ({"settings": {"keep": "left 0%"}, "init_image": picture()}, "keep takes shares from 1% to 99%"),
        ({"settings": {"cutouts": "50%: 2, 10%: 4"}}, "The keyframes of cutouts run backwards"),
    ],
)
def test_a_mask_or_schedule_that_is_none_gets_a_sentence(values: dict[str, object], said: str) -> None:
    assert said in str(refused(spec(**values)))


def test_words_of_a_region_are_among_the_texts_for_the_blocklist() -> None:
    asked = spec(init_image=picture(), settings={"repaint": "the flag"})
    assert "the flag" in texts_of_spec(asked, "") and "the flag" in texts_of(built(asked))


@pytest.mark.parametrize("prompt", ["a fox", "a fox ^ a fox", "a fox ^ a city ^ a fox"])
def test_scenes_of_one_plain_prompt_need_no_note(prompt: str) -> None:
    assert notes(built(spec(prompt))) == ()


def test_a_note_about_a_story_names_its_scene() -> None:
    said = [note.said() for note in notes(built(spec("a fox ^ a fox | fog:-1")))]
    assert said == [
        "Scene 1: towards “a fox” (weight 1, 100 %)",
        "Scene 2: towards “a fox” (weight 1, 50 %)",
        "Scene 2: away from “fog” (weight -1, 50 %)",
    ]
