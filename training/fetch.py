"""Fetch the pinned drawing packages with npm and unpack them: `python -m training.fetch`."""

from __future__ import annotations

import argparse
import subprocess
import tarfile
from pathlib import Path

PACKAGES = {
    "fluent": "@lobehub/fluent-emoji-3d@1.1.0",
    "noto": "@iconify-json/noto@1.2.9",
    "twitter": "emoji-datasource-twitter@16.0.0",
    "names": "unicode-emoji-json@0.9.0",
    "tags": "emojibase-data@17.0.0",
    "keywords": "emojilib@4.0.3",
    "annotations": "cldr-annotations-full@48.2.0",
}


def fetch(folder: Path) -> None:
    """Unpack each package into `folder/NAME`; existing ones are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, package in PACKAGES.items():
        target = folder / name
        if target.exists():
            continue
        packed = subprocess.run(
            ["npm", "pack", "--silent", package],  # noqa: S607 - npm is found on PATH on purpose
            cwd=folder,
            check=True,
            capture_output=True,
            text=True,
        )
        archive = folder / packed.stdout.strip().splitlines()[-1]
        with tarfile.open(archive) as tar:
            tar.extractall(target, filter="data")
        archive.unlink()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("build/training"), help="folder for all training files")
    fetch(parser.parse_args().work / "packages")


if __name__ == "__main__":
    main()
