"""Paint the pictures that /styles shows: `python -m docs.make_style_pictures`, for each style of config.yaml.

All are painted on the CPU with the starter models, of one subject with one seed, so that only the styles differ.
"""

from __future__ import annotations

import sys
from io import BytesIO
from pathlib import Path

from PIL import Image

from bot.environment import load_config
from bot.service import style_picture
from generator import Dream, GenerationRequest, Settings, load_models

SUBJECT, SEED = "a castle", 1
SIDE_PX, QUALITY = 192, 85
CONFIG = Path(__file__).parent.parent / "config.yaml"


def main() -> None:
    """Paint a picture for each style."""
    models = load_models("starter", "cpu")
    settings = Settings().merged({**models.defaults, "seed": SEED})
    for text in load_config(CONFIG).styles.values():
        dream = Dream(GenerationRequest(prompt=f"{SUBJECT} | {text}", settings=settings), models)
        while not dream.finished:
            dream.step()
        out = BytesIO()
        dream.picture().image.resize((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS).save(
            out, "WEBP", quality=QUALITY, method=6
        )
        path = style_picture(text)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(out.getvalue())
        sys.stdout.write(f"{path.name}: {out.tell() / 1000:.0f} kB\n")


if __name__ == "__main__":
    main()
