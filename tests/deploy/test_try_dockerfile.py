"""Following a Dockerfile without a container engine: on small Dockerfiles, without a network."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.try_dockerfile import CleanRoot, Image, StepFailed, build, instructions, most_on_disk

SMALL = """\
# A comment
FROM base AS first
WORKDIR /build
COPY greeting.txt ./
RUN mkdir -p /opt/venv && \\
    cat greeting.txt > /opt/venv/said
FROM base
RUN useradd nobody-at-all
COPY --from=first /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH \\
    REVERIE_DATA=/data
WORKDIR /app
COPY code ./code
RUN --mount=type=cache,target=/var/cache/x --network=none echo "$REVERIE_DATA" > where
HEALTHCHECK --interval=5s CMD ["cat", "where"]
ENTRYPOINT ["python", "-c"]
"""


@pytest.fixture
def context(tmp_path: Path) -> Path:
    folder = tmp_path / "context"
    (folder / "code" / "__pycache__").mkdir(parents=True)
    (folder / "code" / "a.py").write_text("print('a')", "utf-8")
    (folder / "greeting.txt").write_text("hello", "utf-8")
    return folder


def follow(context: Path, text: str) -> Image:
    dockerfile = context.parent / "Dockerfile"
    dockerfile.write_text(text, "utf-8")
    return build(dockerfile, context, context.parent / "root")


def test_instructions_are_read_with_their_continued_lines_and_without_comments() -> None:
    found = list(instructions("# no\nRUN a \\\n  # in between\n  && b\nuser x\n"))
    assert found == [("RUN", "a && b"), ("USER", "x")]


def test_steps_run_in_the_folder_as_they_would_in_an_image(context: Path) -> None:
    image = follow(context, SMALL)
    assert (image.root / "opt/venv/said").read_text("utf-8") == "hello"
    assert (image.root / "app/code/a.py").is_file() and not (image.root / "app/code/__pycache__").exists()
    assert image.call(image.health) == (0, f"{image.root}/data\n")
    assert image.call([*image.entry, "print(6 * 7)"]) == (0, "42\n")
    assert image.env["PATH"].startswith(f"{image.root}/opt/venv/bin:")


def test_steps_that_need_an_image_are_left_out_and_named(context: Path) -> None:
    assert follow(context, SMALL).left_out == ["useradd nobody-at-all"]


def test_no_step_sees_the_environment_of_this_shell(context: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISCORD_TOKEN", "secret")
    image = follow(context, SMALL)
    assert "secret" not in image.call(["sh", "-c", "env"])[1]


@pytest.mark.parametrize(
    ("step", "says"),
    [("RUN false", "ended with 1"), ("SHELL x", "not known"), ("COPY --from=a /x /y", "same path")],
)
def test_a_step_that_cannot_be_followed_is_named(context: Path, step: str, says: str) -> None:
    with pytest.raises(StepFailed, match=says):
        follow(context, f"FROM base\n{step}\n")


def test_in_a_clean_root_steps_keep_their_paths_and_enter_it_as_their_user(context: Path) -> None:
    root = context.parent / "root"
    (root / "usr").mkdir(parents=True)
    image = CleanRoot(root, context)
    for name, text in instructions("WORKDIR /app\nCOPY code ./code\nENV PATH=/opt/venv/bin:$PATH\nUSER 10001:10001\n"):
        image.follow(name, text)
    assert (root / "app/code/a.py").is_file()
    command = image.line(["ls", "/data"])
    assert command[command.index(str(root)) + 1] == "10001:10001" and command[-3:] == ["/app", "ls", "/data"]
    assert image.environment()["PATH"].startswith("/opt/venv/bin:/usr/local/sbin:")


def test_the_disk_is_measured_at_its_peak(tmp_path: Path) -> None:
    with most_on_disk(tmp_path) as most:
        (tmp_path / "file").write_bytes(b"x" * 100_000)
    assert 100_000 <= most[-1] < 200_000
