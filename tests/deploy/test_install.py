"""`make run` and `make test` install what they need, torch from a named index: tiny wheels, indexes on loopback."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.install import NVIDIA, PAGE, may_do_without_cuda
from deploy.wheel_index import serve_wheels
from tests.test_makefile import make

ROOT = Path(__file__).parents[2]
PINS = {
    "requirements.txt": (
        "small==1.0\n    # via -r requirements.in\ntorch==2.0\ntorchvision==1.0\n"
        "nvidia-cublas-cu12==1.0 ; sys_platform == 'linux'\ntriton==1.0\nnever==1.0 ; sys_platform == 'win32'\n"
    ),
    "requirements-preview.txt": "page==1.0\nsmall==1.0\n",
    "requirements-dev.txt": "pytest==1.0\nsmall==1.0\n",
    "requirements-train.txt": "drawings==1.0\n",
    "requirements-ray.txt": "",
}
RUNNING = {"small": "1.0", "page": "1.0"}
CUDA = {"torch": "2.0", "torchvision": "1.0", "nvidia-cublas-cu12": "1.0", "triton": "1.0"}
PLAIN = {"torch": "2.0+cpu", "torchvision": "1.0+cpu"}
TESTING = {"pytest": "1.0", "drawings": "1.0"}


def write_wheel(folder: Path, name: str, version: str, *, source: str = "", needs: str = "") -> None:
    """Write a wheel of one module."""
    module, info = name.replace("-", "_"), f"{name.replace('-', '_')}-{version}.dist-info"
    required = f"Requires-Dist: {needs}\n" if needs else ""
    files = {
        f"{module}/__init__.py": source,
        f"{module}/__main__.py": f"print('{name}')\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{required}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / f"{module}-{version}-py3-none-any.whl", "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)


@dataclass(frozen=True)
class Clone:
    """A clone with tiny requirements, and the addresses of three indexes."""

    folder: Path
    everything: str
    without_cuda: str
    for_cuda: str

    def make(self, *words: str) -> subprocess.CompletedProcess[str]:
        return make(self.folder, *words, UV_DEFAULT_INDEX=self.everything)

    def made(self, *words: str) -> str:
        """Return the output of a make that must succeed."""
        done = self.make(*words)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def installed(self) -> dict[str, str]:
        """Return name and version of each package in the environment but uv."""
        (packages,) = (self.folder / ".venv" / "lib").glob("python*/site-packages")
        found = [path.name.removesuffix(".dist-info").partition("-") for path in packages.glob("*.dist-info")]
        return {name.replace("_", "-"): version for name, _, version in found if name != "uv"}

    def touch(self, name: str) -> None:
        """Make requirements newer than what was installed."""
        (self.folder / name).write_text((self.folder / name).read_text("utf-8"), "utf-8")


@pytest.fixture
def clone(tmp_path: Path) -> Iterator[Clone]:
    folder = tmp_path / "clone"
    for name in ("Makefile", "deploy/install.py", "requirements-setup.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    for name, text in PINS.items():
        (folder / name).write_text(text, "utf-8")
    (folder / "bot").mkdir()
    (folder / "bot" / "__main__.py").write_text("import torch\nprint('torch', torch.BUILD)\n", "utf-8")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / ".venv"], check=True)
    lend_uv(folder / ".venv")
    (packages,) = (folder / ".venv" / "lib").glob("python*/site-packages")
    (packages / "pip.py").write_text("", "utf-8")  # The Makefile takes an environment without pip for a broken one.
    for name in ("small", "page", "pytest", "drawings", "torchvision", "nvidia-cublas-cu12", "triton"):
        write_wheel(tmp_path / "everything", name, "1.0")
    needs = "nvidia-cublas-cu12==1.0"
    write_wheel(tmp_path / "everything", "torch", "2.0", source="BUILD = 'for CUDA'", needs=needs)
    write_wheel(tmp_path / "without", "torch", "2.0+cpu", source="BUILD = 'without CUDA'")
    write_wheel(tmp_path / "without", "torchvision", "1.0+cpu")
    write_wheel(tmp_path / "without", "small", "1.0", source="raise SystemExit('from the index of torch')")
    write_wheel(tmp_path / "for-cuda", "torch", "2.0+cu126", needs="nvidia-cublas-cu12==1.0")
    write_wheel(tmp_path / "for-cuda", "torchvision", "1.0+cu126")
    with ExitStack() as stack:
        addresses = [
            stack.enter_context(serve_wheels(tmp_path / name)) for name in ("everything", "without", "for-cuda")
        ]
        yield Clone(folder, *addresses)


def lend_uv(environment: Path) -> None:
    """Put the uv of this environment into another one."""
    (environment / "bin" / "uv").symlink_to(Path(sys.executable).with_name("uv"))
    (ours,) = (Path(sys.prefix) / "lib").glob("python*/site-packages/uv-*.dist-info")
    (packages,) = (environment / "lib").glob("python*/site-packages")
    (packages / ours.name).symlink_to(ours)


def nowhere() -> str:
    """Return an address at which nobody listens."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{found.getsockname()[1]}/simple"


def test_running_installs_what_running_needs_and_testing_adds_the_rest_each_once(clone: Clone) -> None:
    assert "torch for CUDA" in clone.made("run")
    assert clone.installed() == RUNNING | CUDA
    assert clone.made("run") == "torch for CUDA\n"
    assert "Adding what tests and checks need." in clone.made("test")
    assert clone.installed() == RUNNING | CUDA | TESTING
    assert clone.made("test") == "pytest\n"
    assert clone.made("run") == "torch for CUDA\n"


def test_nothing_is_left_of_the_downloads(clone: Clone) -> None:
    clone.made("run")
    assert not (clone.folder / ".venv" / "uv-cache").exists()


def test_torch_comes_from_the_named_index_without_cuda_and_nothing_else_does(clone: Clone) -> None:
    assert "torch without CUDA" in clone.made("run", f"TORCH_INDEX={clone.without_cuda}")
    assert clone.installed() == RUNNING | PLAIN
    (packages,) = (clone.folder / ".venv" / "lib").glob("python*/site-packages")
    assert (packages / "small" / "__init__.py").read_text("utf-8") == ""


def test_the_index_is_remembered_and_testing_does_not_change_torch(clone: Clone) -> None:
    clone.made("setup", f"TORCH_INDEX={clone.without_cuda}")
    assert clone.made("run", f"TORCH_INDEX={clone.without_cuda}") == "torch without CUDA\n"
    clone.made("test")
    assert clone.installed() == RUNNING | PLAIN | TESTING
    for name in PINS:
        clone.touch(name)
    assert "Installing" in clone.made("test")
    assert "torch without CUDA" in clone.made("run")
    assert clone.installed() == RUNNING | PLAIN | TESTING


def test_torch_changes_when_an_index_is_named_later_and_back_when_an_empty_one_is(clone: Clone) -> None:
    clone.made("test")
    assert "torch without CUDA" in clone.made("run", f"TORCH_INDEX={clone.without_cuda}")
    assert clone.installed() == RUNNING | PLAIN | TESTING
    assert "torch for CUDA" in clone.made("run", "TORCH_INDEX=")
    assert clone.installed() == RUNNING | CUDA | TESTING
    assert clone.made("run") == "torch for CUDA\n"


def test_an_index_that_cannot_be_reached_is_a_sentence_and_changes_nothing(clone: Clone) -> None:
    clone.made("run")
    address = nowhere()
    done = clone.make("run", f"TORCH_INDEX={address}")
    assert done.returncode != 0 and "Traceback" not in done.stderr
    assert f"TORCH_INDEX={address} gave no torch==2.0 and torchvision==1.0. Check the address" in done.stderr
    assert clone.installed() == RUNNING | CUDA
    assert clone.made("run") == "torch for CUDA\n"


def test_an_index_without_this_torch_is_a_sentence(clone: Clone) -> None:
    pins = clone.folder / "requirements.txt"
    pins.write_text(pins.read_text("utf-8").replace("torch==2.0\n", "torch==3.0\n"), "utf-8")
    done = clone.make("run", f"TORCH_INDEX={clone.without_cuda}")
    assert done.returncode != 0 and "gave no torch==3.0" in done.stderr


def test_an_index_of_torch_for_cuda_is_refused_and_the_next_run_mends_it(clone: Clone) -> None:
    done = clone.make("run", f"TORCH_INDEX={clone.for_cuda}")
    assert done.returncode != 0 and "is built for CUDA" in done.stderr and PAGE in done.stderr
    assert "torch for CUDA" in clone.made("run")
    assert clone.installed() == RUNNING | CUDA


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere torch never comes with CUDA")
@pytest.mark.parametrize(("vendor", "proposed"), [("0x8086", True), (NVIDIA, False)])
def test_a_torch_without_cuda_is_proposed_where_no_card_is_seen(tmp_path: Path, vendor: str, proposed: bool) -> None:
    for number, name in enumerate(("0x1af4", vendor)):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "vendor").write_text(f"{name}\n", "ascii")
    assert may_do_without_cuda(tmp_path, tmp_path / "dxg") is proposed
    (tmp_path / "dxg").touch()
    assert not may_do_without_cuda(tmp_path, tmp_path / "dxg")
