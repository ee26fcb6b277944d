"""The public names of the generator; listing them does not import torch."""

import subprocess
import sys

import pytest

import generator

WITHOUT_TORCH = [
    "prompts", "settings", "request", "recipe", "images.files", "images.metadata", "images.timelapse", "errors",
    "cli.main",
]  # fmt: skip


def modules_after(code: str) -> set[str]:
    """Modules that a fresh Python has loaded after running `code`."""
    show = f"{code}\nimport sys\nprint(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", show], capture_output=True, text=True, check=True, timeout=120)
    return set(result.stdout.split())


def test_importing_the_package_imports_next_to_nothing() -> None:
    assert not {"torch", "PIL", "numpy", "clip", "taming"} & modules_after("import generator")


def test_names_that_need_no_torch_do_not_import_it() -> None:
    code = "".join(f"import generator.{name}\n" for name in WITHOUT_TORCH)
    code += "from generator import GenerationRequest, Settings, normalise, parse_story, read_recipe\n"
    code += "GenerationRequest(prompt='a castle | fog:-1')"
    assert not {"torch", "clip", "taming", "av", "omegaconf", "safetensors"} & modules_after(code)


def test_the_process_that_starts_for_each_attached_picture_loads_no_more_than_decodes_it() -> None:
    unneeded = {"numpy", "PIL.ImageCms", "dataclasses", "hashlib", "generator.settings", "generator.request"}
    assert not unneeded & modules_after("import generator.images.sandbox")


@pytest.mark.parametrize("name", generator.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(generator, name) is not None
    assert name in dir(generator)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        generator.nonsense  # noqa: B018
