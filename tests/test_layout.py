"""The layout of the repository: directions of imports, exact pins, and no trace of any one machine in its files."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
REQUIREMENTS = (
    "requirements", "requirements-preview", "requirements-film", "requirements-safety",
    "requirements-upscale", "requirements-tokenizer", "requirements-dev", "requirements-train", "requirements-ray",
    "requirements-notebook",
)  # fmt: skip
DIRECT = re.compile(r"(?P<name>[A-Za-z0-9._-]+)==(?P<version>[0-9][A-Za-z0-9.]*)(; [^#]+)?  # (?P<reason>.{10,})")
MACHINE_MARKS = (
    re.compile(r"--(?:extra-)?index-url|--find-links|--trusted-host"),
    re.compile(r"(?<![\w.$}~-])/(?:root|work)/"),
    re.compile(r"(?<![\w.$}~-])/(?:Users|home)/(?!reverie\b)\w+|[A-Z]:\\Users"),
)


def lint_imports(folder: Path) -> str:
    """Run import-linter with this repository's contracts on the packages in a folder; whitespace is normalised."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-logo", "--no-cache"]
    result = subprocess.run(
        [*command, "--config", str(ROOT / "pyproject.toml")], cwd=folder, capture_output=True, text=True, check=False
    )
    assert result.returncode == ("BROKEN" in result.stdout), result.stdout + result.stderr
    return " ".join(result.stdout.split())


def write_packages(folder: Path, module: str, source: str) -> None:
    """Create empty packages bot and generator, and one module in them."""
    packages = ("bot", "bot/frontend", "bot/frontend/commands", "bot/service", "bot/store", "bot/worker", "generator")
    for name in (*packages, *(f"generator/{part}" for part in ("cli", "images", "models", "optimisation"))):
        (folder / name).mkdir(exist_ok=True)
        (folder / name / "__init__.py").touch()
    (folder / module).write_text(source, "utf-8")


def overfull(folder: Path, most: int = 20) -> list[str]:
    """Find the packages below a folder with too many modules and packages at their top."""
    found = []
    for package in {path.parent for path in folder.rglob("*.py")}:
        inside = [path for path in package.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()]
        if len(inside) - ((package / "__init__.py") in inside) > most:
            found.append(package.relative_to(folder).as_posix())
    return found


def requirements(name: str) -> dict[str, str]:
    """Return name and version of each pin in a requirements file, without comments and options."""
    pins = {}
    for line in (ROOT / name).read_text("utf-8").splitlines():
        if match := re.match(r"([A-Za-z0-9._-]+)==([^\s;]+)", line):
            pins[re.sub(r"[-_.]+", "-", match[1]).lower()] = match[2]
    return pins


def test_this_repository_keeps_its_import_contracts() -> None:
    report = lint_imports(ROOT)
    assert "0 broken" in report, report


@pytest.mark.parametrize(
    ("module", "source"),
    [
        (
            "bot/frontend/commands/queue.py",
            "import discord.ext.commands\nimport bot.service\nfrom generator import Settings\n",
        ),
        ("bot/store/jobs.py", "import aiosqlite\nimport sqlite3\n"),
        ("generator/models/clip.py", "import clip\nimport torch\n"),
        ("generator/optimisation/dream.py", "import torch\nfrom generator.models import clip, vqgan\n"),
        ("generator/models/vqgan.py", "import taming.modules.vqvae.quantize\n"),
    ],
)
def test_imports_along_the_design_are_allowed(tmp_path: Path, module: str, source: str) -> None:
    write_packages(tmp_path, module, source)
    assert "0 broken" in lint_imports(tmp_path)


@pytest.mark.parametrize(
    ("module", "source", "contract"),
    [
        ("bot/service/scheduler.py", "import discord", "discord only in bot.frontend"),
        ("bot/jobs.py", "def f():\n    from discord import app_commands", "discord only in bot.frontend"),
        ("generator/images/files.py", "import discord", "discord only in bot.frontend"),
        ("bot/service/queue.py", "import sqlite3", "SQL only in bot.store"),
        ("bot/frontend/commands/gallery.py", "import aiosqlite", "SQL only in bot.store"),
        ("bot/worker/thread.py", "import torch", "torch only in generator"),
        ("bot/worker/thread.py", "import torchvision.transforms", "torch only in generator"),
        ("generator/optimisation/dream.py", "import clip", "clip only in generator.models.clip"),
        (
            "generator/loading.py",
            "import taming.modules",
            "taming only in generator.models.vqgan and generator.models.prior",
        ),
        (
            "generator/models/prior.py",
            "def read():\n    import tokenizers",
            "tokenizers only in generator.models.language.pieces",
        ),
        ("bot/store/jobs.py", "import bot.service", "never back"),
        ("bot/jobs.py", "from bot import frontend", "never back"),
        ("bot/frontend/app.py", "from bot.frontend import commands", "answers -> messages -> app"),
        ("generator/cli/main.py", "import bot", "the generator knows nothing of the bot"),
        ("generator/models/vqgan.py", "import generator.optimisation", "images, runtime -> values"),
        ("generator/models/prior.py", "import training.data", "never imported at run time"),
        ("bot/config.py", "import tests.fakes", "never imported at run time"),
        ("generator/models/vqgan.py", "import pytorch_lightning", "never imported at run time"),
    ],
)
def test_an_import_against_the_design_is_found(tmp_path: Path, module: str, source: str, contract: str) -> None:
    write_packages(tmp_path, module, source + "\n")
    report = lint_imports(tmp_path)
    assert re.search(rf"{re.escape(contract)}[\w ,]* BROKEN", report), report


def test_an_import_against_the_layers_of_the_service_is_found(tmp_path: Path) -> None:
    write_packages(tmp_path, "bot/service/submission.py", "")
    write_packages(tmp_path, "bot/service/queue.py", "import bot.service.submission\n")
    assert "runner -> settings -> queue -> values BROKEN" in lint_imports(tmp_path)


def test_a_circle_of_imports_is_found_also_where_only_a_type_is_imported(tmp_path: Path) -> None:
    write_packages(tmp_path, "bot/jobs.py", "import bot.files\n")
    source = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import bot.jobs\n"
    write_packages(tmp_path, "bot/files.py", source)
    assert "no circle of imports among the modules of any package BROKEN" in lint_imports(tmp_path)


@pytest.mark.parametrize("package", ["bot", "generator"])
def test_no_package_has_more_than_twenty_things_at_its_top(package: str) -> None:
    assert overfull(ROOT / package) == []


def test_a_package_with_too_much_at_its_top_is_found(tmp_path: Path) -> None:
    write_packages(tmp_path, "bot/service/queue.py", "")
    assert overfull(tmp_path / "bot", most=4) == []
    (tmp_path / "bot" / "jobs.py").touch()
    assert overfull(tmp_path / "bot", most=4) == ["."]


def test_the_bot_may_not_reach_behind_the_public_names_of_the_generator(tmp_path: Path) -> None:
    write_packages(tmp_path, "generator/optimisation/dream.py", "")
    write_packages(tmp_path, "bot/worker/thread.py", "from generator.optimisation.dream import Dream\n")
    assert "the bot uses only the public names of the generator BROKEN" in lint_imports(tmp_path)


@pytest.mark.parametrize("package", ["bot", "generator"])
def test_importing_a_package_does_not_import_torch(package: str) -> None:
    code = f"import sys, {package}; print(*{{'torch', 'torchvision', 'clip', 'taming', 'discord'}} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == ""


@pytest.mark.parametrize("name", REQUIREMENTS)
def test_every_direct_requirement_is_pinned_exactly_and_says_why(name: str) -> None:
    lines = (ROOT / f"{name}.in").read_text("utf-8").splitlines()
    direct = [line for line in lines if line and not line.startswith(("#", "-c "))]
    assert direct
    assert [line for line in direct if not DIRECT.fullmatch(line)] == []


@pytest.mark.parametrize("name", REQUIREMENTS)
def test_compiled_requirements_hold_every_direct_one_at_its_version(name: str) -> None:
    compiled = requirements(f"{name}.txt")
    assert requirements(f"{name}.in").items() <= compiled.items(), "run: make pins"


@pytest.mark.parametrize("name", REQUIREMENTS)
def test_compiled_requirements_hold_exact_pins_only(name: str) -> None:
    lines = (ROOT / f"{name}.txt").read_text("utf-8").splitlines()
    pins = [line for line in lines if not line.lstrip().startswith("#")]
    assert [line for line in pins if not re.fullmatch(r"[a-z0-9.-]+==[A-Za-z0-9.]+( ; .+)?", line)] == []


@pytest.mark.parametrize("name", REQUIREMENTS[1:])
def test_other_requirements_agree_with_those_of_run_time(name: str) -> None:
    runtime, other = requirements("requirements.txt"), requirements(f"{name}.txt")
    assert {pin for pin in other if pin in runtime and runtime[pin] != other[pin]} == set()


def test_no_committed_file_names_an_index_or_a_folder_of_one_machine() -> None:
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run([git, "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    found = []
    for name in listed.stdout.split("\0"):
        path = ROOT / name
        if not path.is_file() or path == Path(__file__) or b"\0" in (content := path.read_bytes())[:8192]:
            continue
        text = content.decode("utf-8", "replace")
        found += [f"{name}: {match[0]}" for mark in MACHINE_MARKS for match in mark.finditer(text)]
    assert found == []


@pytest.mark.parametrize(
    "text",
    ["pip install --index-url x", "see /root/.cache", "/Users/ann/reverie", "C:\\Users\\ann"],
)
def test_marks_of_a_machine_are_recognised(text: str) -> None:
    assert any(mark.search(text) for mark in MACHINE_MARKS)


@pytest.mark.parametrize("text", ["./work/x", "$HOME/work/x", "/home/reverie/data", "build/work/", "at work/at home"])
def test_ordinary_paths_are_no_mark_of_a_machine(text: str) -> None:
    assert not any(mark.search(text) for mark in MACHINE_MARKS)
