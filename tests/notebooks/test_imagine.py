"""The notebook runs from top to bottom without a display, calls public names only, and is committed with pictures."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode

import generator
from docs.make_notebook import NOTEBOOK, ROOT, WIDGET, execute, tidy

MOST_BYTES = 2_500_000
PICTURES = ("image/jpeg", "image/png", "text/html")


@pytest.fixture(scope="module")
def committed() -> NotebookNode:
    return nbformat.read(NOTEBOOK, as_version=4)


def outputs(notebook: NotebookNode) -> Iterator[tuple[str, NotebookNode]]:
    """Yield each output of the cells, with the cell's id."""
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            yield cell.id, output


def pictures(notebook: NotebookNode) -> set[str]:
    """The ids of cells that show a picture."""
    return {cell for cell, output in outputs(notebook) if any(kind in output.get("data", {}) for kind in PICTURES)}


def sources() -> dict[str, str]:
    """The code of the notebook and of the modules in its folder."""
    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    return {path.name: path.read_text("utf-8") for path in NOTEBOOK.parent.glob("*.py")} | {NOTEBOOK.name: code}


@pytest.mark.slow
def test_it_runs_from_top_to_bottom_and_saves_a_picture(tmp_path: Path) -> None:
    copy = tmp_path / "notebooks" / NOTEBOOK.name
    copy.parent.mkdir()
    for name in ("generator", "requirements.txt", "requirements-dev.txt"):
        (tmp_path / name).symlink_to(ROOT / name)
    copy.write_bytes(NOTEBOOK.read_bytes())
    for path in NOTEBOOK.parent.glob("*.py"):
        (copy.parent / path.name).symlink_to(path)
    shown = execute(copy, {"REVERIE_QUICK": "1", "OMP_NUM_THREADS": "1"})
    assert pictures(shown) == {"paint", "timelapse", "compare", "starts", "film"}
    assert [cell for cell, output in outputs(shown) if WIDGET in output.get("data", {})] == ["studio"]
    assert "Everything is here." in str(shown.cells[1].outputs)
    (saved,) = (tmp_path / "out").glob("*.png")
    recipe = generator.read_recipe(saved.read_bytes())
    assert (recipe.request.prompt, recipe.request.settings.size) == ("a blue cat", (64, 64))
    tidy(shown)
    assert WIDGET not in nbformat.writes(shown)


def test_the_committed_notebook_shows_pictures_and_is_small(committed: NotebookNode) -> None:
    assert pictures(committed) == {"paint", "timelapse", "compare", "starts", "film"}
    assert NOTEBOOK.stat().st_size < MOST_BYTES


def test_the_committed_notebook_holds_no_failure_and_no_trace_of_a_machine(
    committed: NotebookNode,
) -> None:
    text = "\n".join(str(output) for _, output in outputs(committed))
    assert not [cell for cell, output in outputs(committed) if output.output_type == "error"]
    assert not [cell for cell, output in outputs(committed) if output.get("name") == "stderr"]
    assert "/home/" not in text and "site-packages" not in text
    assert all(not cell.metadata for cell in committed.cells)


def test_the_committed_outputs_are_of_one_run_from_top_to_bottom(committed: NotebookNode) -> None:
    counts = [cell.execution_count for cell in committed.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))


def test_it_has_no_badge_that_leads_nowhere(committed: NotebookNode) -> None:
    # A badge must name the repository, and no copy knows its own address.
    assert "colab.research.google.com" not in str(committed)
    assert "https://github.com/OWNER/reverie" in committed.cells[1].source


def test_without_the_address_of_a_repository_the_first_cell_says_so(committed: NotebookNode, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", committed.cells[1].source], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("Replace OWNER in REPOSITORY above")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("name", "source"), sources().items())
def test_only_public_names_of_the_generator_are_used(name: str, source: str) -> None:
    tree = compile(source, name, "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    modules = {alias.name for node in found if isinstance(node, ast.Import) for alias in node.names}
    assert not {module for module in modules if module.split(".")[0] in ("generator", "bot", "torch")}
    for node in found:
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in ("generator", "bot", "torch"):
            assert node.module == "generator"
            assert {alias.name for alias in node.names} <= set(generator.__all__)


def run_install_cell(folder: Path, *packages: str) -> subprocess.CompletedProcess[str]:
    """Run the first cell with only these empty packages installed; pip merely prints its arguments."""
    for name in ("generator", *(path.name for path in ROOT.glob("requirements*.txt"))):
        (folder / name).symlink_to(ROOT / name)
    site = folder / "site"
    for name in ("pip", *packages):
        (site / name).mkdir(parents=True)
        (site / name / "__init__.py").touch()
    (site / "pip" / "__main__.py").write_text("import sys; print('pip', *sys.argv[1:])")
    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    (code,) = (cell.source for cell in cells if cell.id == "install")
    return subprocess.run(
        [sys.executable, "-S", "-c", code],
        cwd=folder, env={"PYTHONPATH": str(site)}, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("name", ["clip", "taming", "PIL"])
def test_another_package_of_the_same_name_is_named(tmp_path: Path, name: str) -> None:
    described = tmp_path / "site" / "stranger-1.0.dist-info"
    described.mkdir(parents=True)
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1.0\n")
    (described / "RECORD").write_text(f"{name}/__init__.py,,\n")
    said = run_install_cell(tmp_path, name)
    assert said.returncode == 1
    assert said.stderr.startswith("stranger is in the way: it has the name of ")
    assert "Everything is here" not in said.stdout


def test_a_file_of_the_same_name_is_named(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "clip.py").write_text("raise SystemExit('it was run')")
    said = run_install_cell(tmp_path)
    assert said.stderr.startswith(f"{tmp_path / 'site' / 'clip.py'} is in the way: it has the name of clip-anytorch")


def test_an_empty_folder_of_the_same_name_is_no_package(tmp_path: Path) -> None:
    (tmp_path / "site" / "taming").mkdir(parents=True)
    said = run_install_cell(tmp_path)
    assert said.returncode == 0, said.stderr
    assert " taming-transformers-rom1504==" in said.stdout and " clip-anytorch==" in said.stdout
