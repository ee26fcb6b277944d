"""The Makefile: a prompt is never executed as code, and setup runs only if necessary."""

import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
RUN_PINS = ("requirements.txt", "requirements-preview.txt")
TEST_PINS = ("requirements-dev.txt", "requirements-train.txt", "requirements-ray.txt")
STAMPS = (".installed", ".installed-tests")
HOSTILE_PROMPTS = [
    "a red apple",
    'it\'s "quoted" ; touch harm',
    "$HOME costs $5 and $$",
    "$(touch harm) `touch harm`",
    "$(shell touch harm) ${shell touch harm} $(error no)",
    "# not, a (comment) \\ 100 % | & > harm",
    "--help",
    "two\nlines",
    "ünïcödé 🍎",
    "",
]


def make(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run make in a folder as if from a plain shell, not from the `make test ARGS=...` that may run this."""
    command = shutil.which("make")
    assert command is not None
    given = set(re.findall(r"(\w+)=", os.environ.get("MAKEFLAGS", "")))  # make exports them
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MAKE", "MFLAGS")) and name not in given
    }
    return subprocess.run(
        [command, *arguments], cwd=folder, env=inherited | environment, capture_output=True, text=True, check=False
    )


def write_command(path: Path, line: str) -> None:
    """Write an executable shell script of one line."""
    path.write_text(f"#!/bin/sh\n{line}\n", "utf-8")
    path.chmod(0o755)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The Makefile beside packages that print their arguments, and a finished virtual environment of this Python."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name in (*RUN_PINS, *TEST_PINS, "requirements-setup.txt"):
        (tmp_path / name).write_text("", "utf-8")
    (tmp_path / "deploy").mkdir()
    (tmp_path / "deploy" / "install.py").write_text("import sys\nprint('Installing', *sys.argv[1:])\n", "utf-8")
    for package in ("bot", "generator"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__main__.py").write_text(f"import sys\nprint('{package}', sys.argv[1:])\n", "utf-8")
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    write_command(tmp_path / ".venv" / "bin" / "python", f'exec "{sys.executable}" "$@"')
    for name in STAMPS:
        (tmp_path / ".venv" / name).touch()
    return tmp_path


@pytest.mark.parametrize("target", ["run", "imagine"])
@pytest.mark.parametrize("prompt", HOSTILE_PROMPTS)
def test_a_prompt_reaches_the_generator_letter_for_letter(clone: Path, target: str, prompt: str) -> None:
    result = make(clone, target, f"PROMPT={prompt}")
    assert result.stdout == f"generator {['--', prompt]}\n", result.stderr
    assert not (clone / "harm").exists()


def test_extras_are_installed_once_where_they_are_asked_for(clone: Path) -> None:
    assert "Installing requirements-ray.txt" in make(clone, "setup", "EXTRAS=ray").stdout
    assert "Installing" not in make(clone, "setup", "EXTRAS=ray").stdout
    assert "Installing" not in make(clone, "setup").stdout
    assert make(clone, "setup", "EXTRAS=nonsense").returncode == 2


def test_run_without_a_prompt_starts_the_bot(clone: Path) -> None:
    assert make(clone, "run").stdout == "bot []\n"


def test_the_arguments_of_a_make_that_runs_the_tests_do_not_reach_them(
    clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAKEFLAGS", " -- ARGS=--wrong PROMPT=wrong")
    monkeypatch.setenv("ARGS", "--wrong")
    monkeypatch.setenv("PROMPT", "wrong")
    assert make(clone, "run").stdout == "bot []\n"


def test_run_ignores_a_prompt_variable_of_the_shell(clone: Path) -> None:
    assert make(clone, "run", PROMPT="$(shell touch harm)").stdout == "bot []\n"
    assert not (clone / "harm").exists()


def test_tests_run_in_four_processes_and_arguments_reach_them(clone: Path) -> None:
    (clone / "pytest").mkdir()
    (clone / "pytest" / "__init__.py").touch()
    (clone / "pytest" / "__main__.py").write_text("import sys\nprint(sys.argv[1:])\n", "utf-8")
    given = ["--numprocesses", "4", "--dist", "worksteal", "-m", "not slow"]
    assert make(clone, "test", "ARGS=-m 'not slow'").stdout == f"{given}\n"


def test_notebook_brings_jupyter_along_and_opens_the_notebook(clone: Path) -> None:
    (clone / "requirements-notebook.txt").write_text("", "utf-8")
    (clone / "jupyterlab").mkdir()
    (clone / "jupyterlab" / "__init__.py").touch()
    (clone / "jupyterlab" / "__main__.py").write_text("import sys\nprint(sys.argv[1:])\n", "utf-8")
    opened = "['notebooks/imagine.ipynb', '--no-browser']\n"
    added = "Adding Jupyter.\nInstalling requirements-notebook.txt\n"
    assert make(clone, "notebook", "ARGS=--no-browser").stdout == added + opened
    assert make(clone, "notebook", "ARGS=--no-browser").stdout == opened


def test_a_failing_generator_fails_make(clone: Path) -> None:
    (clone / "generator" / "__main__.py").write_text("raise SystemExit(2)\n", "utf-8")
    assert make(clone, "imagine", "PROMPT=x").returncode != 0


@pytest.mark.parametrize(
    ("target", "stamp", "names"), [("setup", ".installed", RUN_PINS), ("test", ".installed-tests", TEST_PINS)]
)
def test_a_target_installs_its_own_pins_again_only_when_they_change(
    clone: Path, target: str, stamp: str, names: tuple[str, ...]
) -> None:
    (clone / "pytest.py").touch()
    assert "Installing" not in make(clone, target).stdout
    os.utime(clone / ".venv" / stamp, (0, 0))
    installed = [line for line in make(clone, target).stdout.splitlines() if line.startswith("Installing")]
    assert installed == [f"Installing {' '.join(names)}"]
    assert "Installing" not in make(clone, target).stdout


def test_tests_need_what_running_needs_and_running_does_not_need_what_tests_do(clone: Path) -> None:
    (clone / "pytest.py").touch()
    for name in STAMPS:
        (clone / ".venv" / name).unlink()
    assert f"Installing {' '.join(RUN_PINS)}" in make(clone, "run").stdout
    assert f"Installing {' '.join(TEST_PINS)}" in make(clone, "test").stdout
    for name in STAMPS:
        (clone / ".venv" / name).unlink()
    assert make(clone, "test").stdout.count("Installing") == 2


def test_setup_without_a_suitable_python_prints_one_message(clone: Path) -> None:
    shutil.rmtree(clone / ".venv")
    tools = clone / "tools"
    tools.mkdir()
    for name in ("sh", "touch"):
        (tools / name).symlink_to(shutil.which(name) or name)
    write_command(tools / "python3", "exit 1")
    result = make(clone, "setup", PATH=str(tools))
    assert result.returncode != 0
    assert result.stderr.splitlines()[0].startswith("Reverie needs Python 3.11 or 3.12: install it")


def test_help_lists_every_target() -> None:
    listed = make(ROOT, "help").stdout
    for target in ("setup", "run", "imagine", "notebook", "test", "check", "format", "bench", "pins", "clean"):
        assert f"\n  {target} " in listed


BENCHMARKS = re.findall(r"^\t@\$\(BIN\)/python -m (benchmarks\.\w+)(.*)$", MAKEFILE, re.MULTILINE)


@pytest.mark.parametrize(("module", "words"), BENCHMARKS)
@pytest.mark.filterwarnings("ignore:.* found in sys.modules:RuntimeWarning")
def test_the_benchmarks_know_the_flags_that_they_are_run_with(
    module: str, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [module, "--help"])
    with pytest.raises(SystemExit, match=r"^0$"):
        runpy.run_module(module, run_name="__main__")
    printed = capsys.readouterr().out
    assert [flag for flag in re.findall(r"--[\w-]+", words) if flag not in printed] == []


def test_the_makefile_runs_benchmarks() -> None:
    assert {"benchmarks.steps", "benchmarks.service", "benchmarks.gpu"} <= {module for module, _ in BENCHMARKS}


def test_setup_names_a_python_that_was_asked_for_and_does_not_fit(clone: Path) -> None:
    shutil.rmtree(clone / ".venv")
    write_command(clone / "python3.10", "exit 1")
    result = make(clone, "setup", f"PYTHON={clone}/python3.10")
    assert result.returncode != 0
    assert result.stderr.splitlines()[0] == f"{clone}/python3.10 is no Python 3.11 or 3.12."
    assert not (clone / ".venv").exists()


def test_setup_makes_an_environment_of_another_python_anew(clone: Path) -> None:
    (clone / ".venv" / ".installed").unlink()
    write_command(
        clone / ".venv" / "bin" / "python", f'case "$2" in *version_info*) exit 1;; esac; exec "{sys.executable}" "$@"'
    )
    # A real environment, but for pip: to copy it takes seconds, and nothing is installed here.
    write_command(
        clone / "another", f'case "$2" in venv) set -- "$@" --without-pip;; esac; exec "{sys.executable}" "$@"'
    )
    result = make(clone, "setup", f"PYTHON={clone}/another")
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("Making .venv with Python 3.") and "\nInstalling requirements.txt" in result.stdout
    assert (clone / ".venv" / "pyvenv.cfg").is_file()


@pytest.mark.parametrize(
    "made",
    [
        "a-red-apple.png", "a-red-apple.dream", "out/apple.webp", "data/preview/reverie.db", "notebooks/out/apple.png",
        "notebooks/.ipynb_checkpoints/imagine-checkpoint.ipynb",
    ],
)  # fmt: skip
def test_git_ignores_what_a_person_makes_in_a_clone(made: str) -> None:
    git = shutil.which("git")
    assert git is not None
    assert subprocess.run([git, "check-ignore", "--quiet", "--no-index", made], cwd=ROOT, check=False).returncode == 0
