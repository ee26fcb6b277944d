"""Make the starter models from nothing: `python -m training`.

Runs the commands of docs/starter-models.md in order, each in a process of its own. After a kill the same command goes
on: finished commands are noted in `--work`, and an unfinished one resumes from its checkpoint.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

COMMANDS = ("fetch", "sprites", "compose", "vqgan", "perceptor", "decoder", "halve", "prior", "export", "prototypes")
TRAINED = ("vqgan", "perceptor", "decoder", "halve", "prior")
"""Those that take a device, threads and steps."""


def arguments_of(name: str, options: argparse.Namespace) -> list[str]:
    """Command-line arguments of one command."""
    given = ["--work", str(options.work)]
    if name in TRAINED:
        given += ["--device", options.device]
        given += [] if options.threads is None else ["--threads", str(options.threads)]
        given += [] if options.steps is None else ["--steps", str(options.steps)]
    if name == "compose" and options.pictures is not None:
        given += ["--count", str(options.pictures)]
    if name in ("export", "prototypes") and options.out is not None:
        given += ["--out", str(options.out)]
    return given


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("build/training"), help="folder for all training files")
    parser.add_argument("--out", type=Path, help="folder for the models (generator/starter)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:1 (auto)")
    parser.add_argument("--threads", type=int, help="CPU threads (one for each core)")
    parser.add_argument("--steps", type=int, help="optimiser steps of every command, to try it out")
    parser.add_argument("--pictures", type=int, help="composed pictures (36000)")
    parser.add_argument("--skip", nargs="*", default=[], choices=COMMANDS, help="commands to leave out")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    done = options.work / "done.txt"
    finished = done.read_text("utf-8").split() if done.exists() else []
    for name in COMMANDS:
        if name in finished or name in options.skip:
            continue
        print(f"training.{name}", flush=True)
        command = [sys.executable, "-m", f"training.{name}", *arguments_of(name, options)]
        if subprocess.run(command, check=False).returncode:
            sys.exit(f"training.{name} failed; mend what it says and run the same command again.")
        finished.append(name)
        done.write_text("\n".join(finished), "utf-8")


if __name__ == "__main__":
    main()
