"""User interfaces: command line, doctor, notebook, and the other benchmarks, each called as by a user."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from unittest.mock import patch

from benchmarks import ablation, profile, t4_profile, time_to_score
from benchmarks.cases import PROMPT
from benchmarks.gpu import published
from benchmarks.gpu.figures import Figure, Here, hold
from bot.doctor import State, examine
from generator import GenerationRequest, Settings, load_models
from generator.cli.main import main as command_line
from notebooks.canvas import Canvas

STARTER_FLAGS = ("--size", "64", "--steps", "2", "--cutouts", "4", "--candidates", "1")
"""Settings that make a picture of the starter fast enough to try this on a CPU."""


def generate(here: Here, name: str, *flags: str) -> Path:
    """Make a picture by the command line."""
    return _saved(here, name, [PROMPT, "--seed", "7", *flags])


def again(here: Here, file: Path, *flags: str) -> Path:
    """Make the picture again from the recipe in a picture."""
    return _saved(here, f"{file.stem}-again", ["again", str(file), *flags])


def _saved(here: Here, name: str, arguments: Sequence[str]) -> Path:
    file = here.folder / f"{name}.png"
    code = command_line([*arguments, "--device", here.device, "--quiet", "--output", str(file)])
    hold(code == 0 and file.is_file(), f"the command line ended with {code} where it should paint {name}")
    return file


def same(first: Path, second: Path) -> bool:
    """True if two pictures are the same file, recipe included."""
    return first.read_bytes() == second.read_bytes()


def starter(here: Here) -> list[Figure]:
    """Run `python -m generator` with the starter: once as a process, then with every kind of option."""
    small = STARTER_FLAGS if here.tiny else ()
    process = here.folder / "process.png"
    words = [sys.executable, "-m", "generator", PROMPT, "--seed", "7", *small, "--device", here.device]
    done = subprocess.run([*words, "--output", str(process)], capture_output=True, text=True, check=False)  # noqa: S603 - our own program
    hold(done.returncode == 0, f"python -m generator ended with {done.returncode}: {done.stderr.strip()[-300:]}")
    plain, exact = generate(here, "plain", *small), generate(here, "exact", *small, "--exact")
    hold(same(exact, again(here, exact)), "with --exact, `again` gives other bytes")
    if not here.tiny:
        generate(here, "wide", "--size", "384x256")
        for precision in ("fp16", "bf16", "fp32"):
            generate(here, precision, "--precision", precision)
    return [
        Figure(name="without exact, `again` gives the same bytes", value=same(plain, again(here, plain))),
        Figure(name="without exact, another process gives the same bytes", value=same(plain, process)),
    ]


def no_compiler(here: Here) -> list[Figure]:
    """Run without a C compiler and without compiled caches: the program must work without its own kernels."""
    bare = here.folder / "bare"
    bare.mkdir()
    machine = {"PATH": str(bare), "CC": str(bare / "cc"), "TRITON_CACHE_DIR": str(bare / "cache")}
    words = [sys.executable, "-m", "generator", PROMPT, "--seed", "7", *STARTER_FLAGS, "--device", here.device]
    done = subprocess.run(  # noqa: S603 - our own program
        [*words, "--output", str(here.folder / "bare.png")],
        env=os.environ | machine,
        capture_output=True,
        text=True,
        check=False,
    )
    hold(done.returncode == 0, f"python -m generator ended with {done.returncode}: {done.stderr.strip()[-300:]}")
    hold("Traceback" not in done.stderr, "it showed a trace")
    return []


def own_files(here: Here) -> list[Figure]:
    """Test files of the real shapes in the published formats, one perceptor and two, every number format."""
    files = published.write(here.folder / "files", here.tiny)
    few = ("--start", "random", "--steps", "3", "--size", "32" if here.tiny else "256", "--cutouts", "8")
    with patch.dict(os.environ, {"REVERIE_DATA": str(here.folder / "data")}):
        plain, exact = (
            generate(here, "own", *files.flags, *few),
            generate(here, "own-exact", *files.flags, *few, "--exact"),
        )
        hold(same(exact, again(here, exact, *files.flags)), "with --exact, `again` gives other bytes")
        generate(here, "two", *files.flags, "--perceptor", str(files.resnet), *few)
        for precision in ("fp16", "bf16", "fp32"):
            generate(here, f"own-{precision}", *files.flags, *few, "--precision", precision)
        repeats = same(plain, again(here, plain, *files.flags))
    return [Figure(name="without exact, `again` gives the same bytes", value=repeats)]


def doctor(here: Here) -> list[Figure]:
    """Run `python -m bot doctor`: torch, driver and GPU must pass its checks."""
    config = here.folder / "config.yaml"
    config.write_text(f"device: {'cpu' if here.tiny else here.device}\n", "utf-8")
    findings = {item.check: item for item in examine(config, {"REVERIE_DATA": str(here.folder / "data")})}
    for name in ("torch", "driver", "gpu"):
        found = findings[name]
        hold(found.state is not State.FAIL, f"the doctor says of {name}: {found.found} {found.advice}")
    return []


def notebook(here: Here) -> list[Figure]:
    """Run the studio's canvas: a picture with its codes and its timelapse, and a contact sheet."""
    models = load_models("starter", here.device)
    changes = {"size": 64, "cutouts": 4, "candidates": 1} if here.tiny else {}
    settings = Settings().merged({**models.defaults, **changes, "steps": 2, "seed": 7})
    request = GenerationRequest(prompt=PROMPT, settings=settings)
    canvas = Canvas(models)

    async def use() -> None:
        canvas.begin(request)
        hold(await canvas.go_on(lambda _: None), "the picture was not finished")
        hold(canvas.codes().ndim == 2, "its codes have no rows and columns")
        await canvas.compare(request, ("learning_rate", [0.01, 0.03]), None, lambda _: None, lambda _: None)

    asyncio.run(use())
    return []


def t4(here: Here) -> list[Figure]:
    """Run `benchmarks.t4_profile` briefly."""
    out = here.folder / "t4.json"
    brief = ["--steps", "5", "--json", str(out)]
    tiny = ["--device", "cpu", "--tiny", "--sizes", "32", "--cutouts", "2", *brief]
    code = t4_profile.main(tiny if here.tiny else ["--sizes", "256", *brief])
    hold(code == 0, f"it ended with {code}")
    (measured,) = json.loads(out.read_text("utf-8"))["figures"]
    return [
        Figure(name="picture in float16, off by", value=measured["image_error"], most=t4_profile.MOST_IMAGE_ERROR),
        Figure(name="loss in float16, off by", value=measured["loss_error"], most=t4_profile.MOST_LOSS_ERROR),
    ]


def other_benchmarks(here: Here) -> list[Figure]:
    """`benchmarks.profile`, `benchmarks.time_to_score`, and a picture of `benchmarks.ablation`, briefly."""
    common = ["--device", here.device, "--json", str(here.folder / "figures.json")]
    calls: list[tuple[Callable[[list[str]], int], list[str]]] = [
        (profile.main, ["starter", "--rounds", "1"]),
        (time_to_score.main, ["--prompts", "1", "--seeds", "1", "--plain-steps", "1"]),
    ]
    for call, arguments in calls:
        hold(call([*arguments, *common]) == 0, f"{call.__module__} ended with an error")
    models = load_models("starter", here.device)
    result = ablation.generate(models, {"steps": 2}, PROMPT, 0, time_to_score.own_score(models))
    hold(len(result.scores) == 2, "benchmarks.ablation made another number of steps")
    return []
