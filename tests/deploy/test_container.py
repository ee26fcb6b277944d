"""Dockerfile and compose.yaml: linted, valid, and holding what docs/hosting.md promises of them."""

from __future__ import annotations

import fnmatch
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.doctor.machine import LEAST_DRIVER, PYTHONS
from deploy.try_dockerfile import instructions

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
STEPS = list(instructions(DOCKERFILE))
WEIGHTS = (".safetensors", ".ckpt", ".pt", ".pth", ".bin")


def program(name: str) -> str:
    """A program that was installed with this Python."""
    return str(Path(sys.executable).with_name(name))


def lint(text: str) -> str:
    done = subprocess.run(
        [program("hadolint"), "--no-color", "-"], input=text, capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


def values(name: str) -> list[str]:
    return [text for step, text in STEPS if step == name]


def compose() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
    return read


def is_valid(path: Path) -> bool:
    command = [program("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", str(path)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_the_linter_finds_nothing_in_the_dockerfile() -> None:
    assert lint(DOCKERFILE) == ""


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ("python:3.11.14-slim-bookworm", "python", "DL3006"),
        ("python:3.11.14-slim-bookworm", "python:latest", "DL3007"),
        ("WORKDIR /app", "WORKDIR app", "DL3000"),
        ("RUN python -m venv /opt/venv", "RUN pip install x==1 && python -m venv /opt/venv", "DL3042"),
        ("USER 10001:10001", "USER root", "DL3002"),
    ],
)
def test_the_linter_would_find_faults(old: str, new: str, rule: str) -> None:
    assert old in DOCKERFILE
    assert rule in lint(DOCKERFILE.replace(old, new))


def test_every_stage_has_one_base_pinned_by_its_tag_with_a_python_that_reverie_runs_with() -> None:
    bases = {text.split()[0] for text in values("FROM")}
    assert len(bases) == 1
    tag = re.fullmatch(r"python:(\d+)\.(\d+)\.\d+-slim-bookworm", bases.pop())
    assert tag is not None and (int(tag[1]), int(tag[2])) in PYTHONS


def test_the_packages_are_on_the_disk_once_and_no_cache_stays() -> None:
    assert len(values("FROM")) == 1 and "type=cache" not in DOCKERFILE
    (step,) = [text for text in values("RUN") if "install.py" in text]
    assert "pip uninstall" in step  # What a later step removes stays in the layer below it.


def test_the_image_has_an_unprivileged_user_a_stop_signal_and_a_health_check() -> None:
    assert values("USER") == ["10001:10001"] and "--uid 10001" in DOCKERFILE
    assert values("VOLUME") == ["/data"] and "REVERIE_DATA=/data" in DOCKERFILE
    assert values("STOPSIGNAL") == ["SIGTERM"]
    assert values("HEALTHCHECK")[0].endswith('CMD ["python", "-m", "bot", "health"]')
    assert values("ENTRYPOINT") == ['["python", "-m", "bot"]']


def test_no_secret_is_part_of_the_image() -> None:
    steps = [text for name, text in STEPS if name in ("ENV", "ARG", "COPY", "RUN")]
    assert not any(re.search("token(?!izer)", text, re.IGNORECASE) for text in steps)


def test_copied_files_exist_and_are_in_the_build_context() -> None:
    rules = [line for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line and line[0] != "#"]
    assert rules[0] == "*"
    sources = [name for text in values("COPY") if "--from" not in text for name in text.split()[:-1]]
    assert {f"!{name}" for name in sources} == {rule for rule in rules if rule.startswith("!")}
    assert all((ROOT / name).exists() for name in sources)


def test_the_only_weights_in_the_image_are_those_of_the_starter() -> None:
    git = shutil.which("git")
    assert git is not None
    command = [git, "ls-files", "--", "bot", "generator"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    weights = [name for name in names if name.endswith(WEIGHTS)]
    assert weights and all(fnmatch.fnmatch(name, "generator/starter/*.safetensors") for name in weights)


def test_packages_left_out_of_the_image_are_not_imported() -> None:
    packages = re.search(r"pip uninstall --yes --quiet ([^\\]+)", DOCKERFILE)
    assert packages is not None and "pytorch-lightning" in packages[1]
    names = packages[1].split()
    marks = [re.compile(rf"^\s*(?:import|from) {name.replace('-', '_')}\b", re.M) for name in names]
    sources = [path for part in ("bot", "generator") for path in (ROOT / part).rglob("*.py")]
    assert [path for path in sources for mark in marks if mark.search(path.read_text("utf-8"))] == []


def test_the_driver_that_the_dockerfile_names_is_that_of_torchs_cuda() -> None:
    requirements = (ROOT / "requirements.txt").read_text("utf-8")
    cuda = re.search(r"^nvidia-cuda-runtime-cu(\d+)==(\d+\.\d+)\.", requirements, re.MULTILINE)
    assert cuda is not None
    assert f"CUDA {cuda[2]}" in DOCKERFILE
    assert f"{LEAST_DRIVER[int(cuda[1])]} or newer" in DOCKERFILE


def test_compose_keeps_to_the_schema_of_its_format(tmp_path: Path) -> None:
    assert is_valid(ROOT / "compose.yaml")
    wrong = compose()
    wrong["services"]["bot"]["deploy"]["resources"]["reservations"]["devices"][0].pop("capabilities")
    (tmp_path / "compose.yaml").write_text(yaml.safe_dump(wrong), "utf-8")
    assert not is_valid(tmp_path / "compose.yaml")


def test_compose_hands_on_the_gpu_and_the_token_as_a_file() -> None:
    service, whole = compose()["services"]["bot"], compose()
    device = service["deploy"]["resources"]["reservations"]["devices"][0]
    assert device == {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}
    (secret,) = service["secrets"]
    assert service["environment"] == {"DISCORD_TOKEN_FILE": f"/run/secrets/{secret}"}
    assert set(whole["secrets"][secret]) == {"file"}


def test_compose_restarts_and_gives_a_stop_its_time_and_takes_rights_away() -> None:
    service = compose()["services"]["bot"]
    assert service["restart"] == "unless-stopped" and service["stop_grace_period"] == "1m" and service["init"] is True
    assert service["read_only"] is True and service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "ports" not in service and "privileged" not in service
    mounted = {volume.split(":")[1] for volume in service["volumes"]}
    assert set(values("VOLUME")) <= mounted and "/app/config.yaml" in mounted


def test_the_tokens_file_is_ignored_by_git_and_left_out_of_the_context() -> None:
    place = compose()["secrets"]["discord_token"]["file"]
    git = shutil.which("git")
    assert git is not None
    ignored = subprocess.run([git, "check-ignore", "--quiet", place], cwd=ROOT, check=False)
    assert ignored.returncode == 0


def test_the_cluster_has_its_ports_pinned_its_token_as_a_file_and_no_dashboard() -> None:
    path = ROOT / "deploy" / "compose.cluster.yaml"
    assert is_valid(path)
    assert lint((ROOT / "deploy" / "cluster.Dockerfile").read_text("utf-8")) == ""
    services = yaml.safe_load(path.read_text("utf-8"))["services"]
    head, worker = (services[name]["entrypoint"][-1] for name in ("bot", "worker"))
    assert "--port=6379" in head and "--include-dashboard=false" in head and "--num-gpus=0" in head
    assert "exec python -m bot" in head and "--address=$$REVERIE_HEAD:6379" in worker
    for service in services.values():
        pinned = service["environment"]["REVERIE_PORTS"]
        assert {int(port) for port in re.findall(r"-port=(\d+)", pinned)} == {*range(6380, 6386), 10002, 10101}
        assert "ray_token" in service["secrets"]


def test_the_cluster_on_kubernetes_has_the_pinned_ray() -> None:
    cluster, claim = yaml.safe_load_all((ROOT / "deploy" / "kuberay.yaml").read_text("utf-8"))
    assert f"ray=={cluster['spec']['rayVersion']}" in (ROOT / "requirements-ray.txt").read_text("utf-8")
    assert claim["kind"] == "PersistentVolumeClaim"
