"""Benchmark report: a table on standard output, and JSON with the conditions."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from generator.cli.arguments import device_named

BUSY_LOAD = 0.5
"""Load average, per core, from which the machine counts as busy with other work."""


def options(description: str | None, json_name: str) -> argparse.ArgumentParser:
    """Parser with the options of every benchmark."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of the CPU")
    parser.add_argument("--device", default="auto", type=device_named, help="auto, cpu, cuda or cuda:1 (auto)")
    leave_out_kernels(parser)
    parser.add_argument("--json", type=Path, default=Path("build/bench") / json_name, help="where the figures go")
    return parser


class _WithoutKernels(argparse.Action):
    """Leave out the kernels from here on, in this process and those that it starts."""

    def __call__(self, *_: object) -> None:
        os.environ["REVERIE_KERNELS"] = "off"


def leave_out_kernels(parser: argparse.ArgumentParser) -> None:
    """Add the option that compares a version with and without its own kernels."""
    parser.add_argument("--without-kernels", action=_WithoutKernels, nargs=0, help="on a GPU, use torch's norm kernels")


def conditions(threads: int, device: str) -> dict[str, Any]:
    """Time and machine of the measurement. Call it beforehand: the measurement itself makes the machine busy."""
    facts = Path("/proc/cpuinfo")
    names = [line.partition(":")[2].strip() for line in _lines(facts) if line.startswith("model name")]
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    cores = os.cpu_count() or 1
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": torch.cuda.get_device_name(device) if on_gpu(device) else (names or [platform.processor()])[0],
        "cores": cores,
        "threads": threads,
        "kernels": os.environ.get("REVERIE_KERNELS", "on"),
        "torch": torch.__version__,
        "load_before": round(load, 2),
        "busy": load > BUSY_LOAD * cores,
    }


def on_gpu(device: str) -> bool:
    """Return true if the device of this name, such as `cuda:0`, is a GPU."""
    return torch.device(device).type == "cuda"


def wait_for(device: str) -> None:
    """Wait until a GPU has done all that was queued; a CPU has done it already."""
    if on_gpu(device):
        torch.cuda.synchronize(device)


def _lines(path: Path) -> list[str]:
    return path.read_text("utf-8", "replace").splitlines() if path.is_file() else []


def spread(values: Sequence[float]) -> str:
    """Median with range, such as `2.51 (2.40 to 2.63)`."""
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def write_report(
    path: Path, about: dict[str, Any], head: Sequence[str], rows: Sequence[Sequence[str]], figures: object
) -> None:
    """Print the table, in Markdown, and write the JSON."""
    busy = ", busy with other things" if about["busy"] else ""
    print(f"{about['date']}, {about['machine']}, {about['threads']} threads of {about['cores']} cores{busy}\n")
    for row in (head, ["---"] * len(head), *rows):
        print("| " + " | ".join(row) + " |")
    print()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"conditions": about, "figures": figures}, indent=1) + "\n", encoding="utf-8")
