"""docs/hosting.md against the facts: driver, files, the doctor's table."""

from __future__ import annotations

import re

import yaml

from bot.doctor.finding import WIDTHS
from bot.doctor.machine import LEAST_DRIVER
from bot.monitoring.metrics import ENDS, REASONS, STANDINGS, Metrics
from bot.texts import say
from tests.docs.conftest import ROOT, Document


def test_the_driver_is_the_one_that_the_pinned_torch_needs(document: dict[str, Document]) -> None:
    pins = (ROOT / "requirements.txt").read_text("utf-8")
    cuda = re.search(r"^nvidia-cuda-runtime-cu(\d+)==(\d+\.\d+)\.", pins, re.MULTILINE)
    assert cuda is not None
    text = document["hosting.md"].text
    assert f"CUDA {cuda[2]}" in text and f"{LEAST_DRIVER[int(cuda[1])]} or newer" in text


def test_the_doctors_table_is_one_that_the_doctor_prints(document: dict[str, Document]) -> None:
    (table,) = (block for block in document["hosting.md"].blocks("text") if block.startswith(say("doctor_check")))
    head, ruler, *rows = table.splitlines()
    assert head.split("  ")[0] == say("doctor_check") and set(ruler) == {"-"}
    checks = [row[: WIDTHS[0]].strip() for row in rows if row[: WIDTHS[0]].strip()]
    names = [say(f"check_{name}") for name in (
        "python", "config", "torch", "driver", "gpu", "memory", "disk", "models", "database", "token", "login"
    )]  # fmt: skip
    assert checks[: len(names)] == names
    assert rows[-1] == say("doctor_good")


def test_files_that_are_named_are_there(document: dict[str, Document]) -> None:
    text = document["hosting.md"].text
    for name in (
        "compose.yaml",
        "config.yaml",
        "deploy/reverie.service",
        "deploy/try_dockerfile.py",
        "deploy/as_service.py",
    ):
        assert name in text and (ROOT / name).is_file()


def test_names_are_those_of_compose_and_unit(document: dict[str, Document]) -> None:
    text = document["hosting.md"].text
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
    (volume,) = compose["volumes"]
    assert f"{compose['name']}_{volume}" in text
    assert compose["secrets"]["discord_token"]["file"].removeprefix("./") in text
    unit = (ROOT / "deploy" / "reverie.service").read_text("utf-8")
    text += document["empty-vm.md"].text
    for path in ("/opt/reverie", "/etc/reverie/config.yaml", "/etc/reverie/discord_token", "/var/lib/reverie"):
        assert path in unit and path in text


def test_sentences_that_are_quoted_are_said_by_the_bot(document: dict[str, Document]) -> None:
    texts = " ".join(path.read_text("utf-8") for path in (ROOT / "bot" / "texts" / "en").glob("*.yaml"))
    texts += " ".join(path.read_text("utf-8") for path in (ROOT / "generator").rglob("*.py"))
    section = document["hosting.md"].text.partition("## When something is wrong")[2].partition("\n## ")[0]
    quoted = re.findall(r"^\| (?:health: )?\*([^*]+)\*", section, re.MULTILINE)
    assert len(quoted) > 4
    assert [text for text in quoted if text.partition(":")[0] not in texts] == []


def test_every_metric_is_documented_and_no_other(document: dict[str, Document]) -> None:
    families = Metrics().registry.collect()
    served = {f"{item.name}_total" if item.type == "counter" else item.name for item in families}
    text = document["hosting.md"].text
    section = text.partition("### Metrics")[2].partition("\n## ")[0]
    rows = {row[0].strip("`"): row[1] for row in document["hosting.md"].rows() if row[0].startswith("`reverie_")}
    assert set(rows) == served
    assert all(f"`{name}`" in rows["reverie_jobs"] for name in STANDINGS)
    assert all(f"`{name}`" in rows["reverie_jobs_ended_total"] for name in ENDS)
    in_rules = set(re.findall(r"\breverie_\w+", "".join(document["hosting.md"].blocks("yaml"))))
    assert in_rules and in_rules <= served
    reasons = re.search(r'reason=~"([^"]+)"', section)
    assert reasons is not None and set(reasons[1].split("|")) <= set(REASONS)


def test_every_reason_that_is_counted_is_a_text_of_ours() -> None:
    assert [reason for reason in REASONS if say(reason) == reason] == ["other"]


def test_the_lines_of_the_log_that_are_shown_have_the_words_that_are_explained(document: dict[str, Document]) -> None:
    shown = "".join(block for block in document["hosting.md"].blocks("text") if "job queued" in block)
    explained = {
        name for row in document["hosting.md"].rows() for name in re.findall(r"`((?:job|picture) [a-z ]+)`", row[0])
    }
    assert len(explained) == 10
    assert set(re.findall(r": ((?:job|picture) [a-z]+) job=", shown)) < explained
