"""Install pinned requirements into the virtual environment that runs this file; `make` calls it.

    .venv/bin/python deploy/install.py requirements.txt requirements-preview.txt

pip gets uv, which installs the rest in less than half of the time. The files pin every package, so nothing is resolved.
REVERIE_TORCH_INDEX may hold the address of a package index: torch then comes from there, built without CUDA, and the
packages that only CUDA needs are left out. The address is remembered in the environment for later calls; an empty one
takes torch from where everything else comes from again.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = Path(sys.prefix)
REMEMBERED = ENVIRONMENT / "torch-index"
ADDRESS = "REVERIE_TORCH_INDEX"
PAGE = "https://pytorch.org/get-started/locally"
TORCH = re.compile(r"(torch|torchvision)==")
"""Packages that come from torch's own index."""
CUDA = re.compile(r"(nvidia-[\w-]+|cuda-[\w-]+|triton)==")
"""Packages that only a torch with CUDA needs."""
NVIDIA = "0x10de"
"""NVIDIA's number on the PCI bus."""


class InstallFailed(Exception):
    """A step failed; the message says what to do."""


def main(names: Sequence[str]) -> int:
    """Return the exit status: 0, or 1 after a sentence that says what to do."""
    try:
        install([pin for name in names for pin in pins((ROOT / name).read_text("utf-8"))])
    except InstallFailed as exc:
        sys.stderr.write(f"{exc}\n")
        return 1
    return 0


def install(wanted: Sequence[str]) -> None:
    """Install pins, those of torch from the index that was named now or before.

    Raises:
        InstallFailed: if a step fails.
    """
    before = REMEMBERED.read_text("utf-8").strip() if REMEMBERED.exists() else ""
    address = os.environ.get(ADDRESS, before).strip()
    torch = [pin for pin in wanted if TORCH.match(pin)]
    if torch:
        _say(f"Installing the pinned packages ({'1.1' if address else '7.5'} GB on disk the first time).")
        if not address and may_do_without_cuda():
            _say(
                "No NVIDIA card is seen here. A torch without CUDA saves 6.4 GB: stop this with Ctrl+C, then make run "
                f"TORCH_INDEX=ADDRESS, with the address that {PAGE} shows for Pip and CPU."
            )
    _get_uv()
    # A build without CUDA has a version such as 2.10.0+cpu, which fits the pin as well as the one with CUDA does.
    again = bool(torch) and (address != before or (not address and "+" in _installed().get("torch", "")))
    if torch and address:
        _from_index(torch, address, again=again)
        REMEMBERED.write_text(f"{address}\n", "utf-8")
        _remove(name for name in _installed() if CUDA.match(f"{name}=="))
    left = [pin for pin in wanted if not (address and (TORCH.match(pin) or CUDA.match(pin)))]
    _uv("install", "--no-deps", *(_afresh(torch) if again and not address else ()), *left)
    if torch and not address:
        REMEMBERED.unlink(missing_ok=True)


def pins(text: str) -> list[str]:
    """Read the pins of a compiled file, each with its condition."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return [line for line in lines if line]


def may_do_without_cuda(devices: Path = Path("/sys/bus/pci/devices"), wsl: Path = Path("/dev/dxg")) -> bool:
    """Return true on a Linux machine whose torch would come with CUDA although no NVIDIA card is seen."""
    if sys.platform != "linux" or os.uname().machine != "x86_64" or wsl.exists():
        return False
    return all(path.read_text("ascii").strip() != NVIDIA for path in devices.glob("*/vendor"))


def _from_index(torch: Sequence[str], address: str, *, again: bool) -> None:
    """Install torch from its own index, and nothing else from there.

    Raises:
        InstallFailed: if the index cannot be reached, has no such torch, or has one that needs CUDA's packages.
    """
    try:
        _uv("install", "--no-deps", *(_afresh(torch) if again else ()), *torch, UV_DEFAULT_INDEX=address)
    except InstallFailed as exc:
        raise InstallFailed(
            f"{exc}\nTORCH_INDEX={address} gave no {' and '.join(torch)}. Check the address with the one that {PAGE} "
            "shows for Pip and CPU, and the network; make run TORCH_INDEX= takes torch from where all other packages "
            "come from."
        ) from exc
    needed = metadata.distribution("torch").requires or []
    if any(re.match(r"nvidia-|cuda-", name) for name in needed):
        raise InstallFailed(
            f"The torch at TORCH_INDEX={address} is built for CUDA; TORCH_INDEX is for one without. On {PAGE} choose "
            "Pip and CPU. make run TORCH_INDEX= takes the torch with CUDA that Reverie is tested with."
        )


def _get_uv() -> None:
    """Install the pinned uv by pip.

    Raises:
        InstallFailed: if pip cannot.
    """
    pinned = pins((ROOT / "requirements-setup.txt").read_text("utf-8"))
    if pinned == [f"uv=={_installed().get('uv')}"]:
        return
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-cache-dir",
        "--disable-pip-version-check",
        *pinned,
    ]
    if subprocess.run(command, check=False).returncode:  # noqa: S603 - our own words
        raise InstallFailed("pip could not install uv, which installs the rest: is the network there? Then try again.")


def _uv(command: str, *words: str, **environment: str) -> None:
    """Run `uv pip`. Its cache lies in the environment, so that files are linked instead of copied, and goes afterwards.

    Raises:
        InstallFailed: if uv fails; its own words are on the terminal.
    """
    cache = ENVIRONMENT / "uv-cache"
    given = {"UV_CACHE_DIR": str(cache), **_settings_of_pip(), **os.environ, **environment}
    quiet = () if sys.stderr.isatty() else ("--quiet",)
    line = [str(ENVIRONMENT / "bin" / "uv"), "pip", command, *quiet, "--python", sys.executable, *words]
    try:
        if subprocess.run(line, env=given, check=False).returncode:  # noqa: S603 - our own words
            raise InstallFailed("uv could not install the packages; the lines above say why.")
    finally:
        shutil.rmtree(cache, ignore_errors=True)


def _settings_of_pip() -> Mapping[str, str]:
    """Return the index and the certificates that pip is set to, by the names that uv has for them."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    listed = subprocess.run(command, capture_output=True, text=True, check=False).stdout  # noqa: S603 - our own words
    found = dict(re.findall(r"^(?:global|install|:env:)\.([\w-]+)='(.*)'$", listed, re.MULTILINE))
    names = {"index-url": "UV_DEFAULT_INDEX", "cert": "SSL_CERT_FILE"}
    return {names[name]: value for name, value in found.items() if name in names}


def _remove(names: Iterable[str]) -> None:
    if found := sorted(names):
        _uv("uninstall", *found)


def _afresh(torch: Sequence[str]) -> list[str]:
    return [word for pin in torch for word in ("--reinstall-package", pin.partition("=")[0])]


def _installed() -> dict[str, str]:
    """Return the version of every installed package."""
    return {each.name.lower().replace("_", "-"): each.version for each in metadata.distributions()}


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
