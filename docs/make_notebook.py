"""Run notebooks/imagine.ipynb and keep its outputs: `python -m docs.make_notebook`.

Widgets live only while a kernel runs, so they are left out of the kept outputs, as are values that differ from run to
run without meaning: times, versions, ids.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

ROOT = Path(__file__).parent.parent
NOTEBOOK = ROOT / "notebooks" / "imagine.ipynb"
CELL_TIMEOUT_S = 3600
KEPT_METADATA = ("accelerator", "colab", "kernelspec")
WIDGET = "application/vnd.jupyter.widget-view+json"


def execute(path: Path, environment: dict[str, str] | None = None) -> NotebookNode:
    """Run the notebook's cells in order, in its own folder, and return it with their outputs.

    Raises:
        nbclient.exceptions.CellExecutionError: if a cell fails.
    """
    notebook = nbformat.read(path, as_version=4)
    settings = {"timeout": CELL_TIMEOUT_S, "record_timing": False, "store_widget_state": False}
    client = NotebookClient(
        notebook, kernel_name="python3", resources={"metadata": {"path": str(path.parent)}}, **settings
    )
    client.execute(env={**os.environ, **(environment or {})})
    return notebook


def tidy(notebook: NotebookNode) -> None:
    """Leave out widgets and all values that change from run to run."""
    notebook.metadata = {key: notebook.metadata[key] for key in KEPT_METADATA} | {"language_info": {"name": "python"}}
    for cell in notebook.cells:
        cell.metadata = {}
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if WIDGET not in output.get("data", {})]


def main() -> None:
    """Run the notebook and write it back with its outputs."""
    notebook = execute(NOTEBOOK)
    tidy(notebook)
    nbformat.write(notebook, NOTEBOOK)
    sys.stdout.write(f"{NOTEBOOK.name}: {NOTEBOOK.stat().st_size / 1e6:.2f} MB\n")


if __name__ == "__main__":
    main()
