"""The tiny models of the generator's tests, and kernels that touch nothing of the person's who runs them."""

from pathlib import Path

import pytest

from tests.generator.conftest import make_clip, make_request, models, one_thread, png, prior, vqgan, vqgan_config  # noqa: F401


@pytest.fixture(autouse=True)
def kernels_in_a_folder_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the files of Jupyter and IPython in the test's folder, independent of the user and their home folder."""
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
