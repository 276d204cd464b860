"""Pictures with masks in the user's own folders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from scirs_neural.core.errors import ConfigError, DataError
from scirs_neural.data.class_folders import files_below, passed_over
from scirs_neural.data.image.image_file import IMAGE_SUFFIXES
from scirs_neural.data.mask.field import LOSSY_SUFFIXES
from scirs_neural.data.samples import ReadSamples
from scirs_neural.data.source import DataSource
from scirs_neural.data.split_names import SPLIT_NAMES
from scirs_neural.data.table.values import names_of
from scirs_neural.guard.image import opened_image

IMAGE, MASK = "image", "mask"
_PICTURES, _MASKS = "images", "masks"
_LAYOUT = "root/images/7.jpg with root/masks/7.png, or the two folders in root/train, root/val and root/test"
_SIZE, _LARGEST = 256, 512  # px: of the input where pictures differ in size, or are larger


class PairedSamples(ReadSamples):
    """Pictures and their masks, both read when they are needed.

    Args:
        pictures: paths.
        masks: the path of each one's mask.
    """

    def __init__(self, pictures: Sequence[str], masks: Sequence[str]) -> None:
        super().__init__(IMAGE, pictures, {})
        self.masks = list(masks)

    def raw(self, index: int) -> dict[str, str]:
        """The two paths."""
        return {IMAGE: self.values[index], MASK: self.masks[index]}


def mask_folder(root: str | Path, classes: Sequence[str] | None = None) -> DataSource:
    """Pictures in a folder ``images`` and masks of the same stem in a folder ``masks``.

    The two lie in ``root``, of which fractions are held out, or in ``root/train`` and as far as they exist ``root/val``
    and ``root/test``; or they hold such folders themselves.

    Args:
        root: the folder.
        classes: names of the classes 0, 1, …; None: the different values in the training masks.

    Raises:
        DataError: there is no such folder, or a picture without a mask, or a mask without a picture.
        ConfigError: one class, or two of one name.
    """
    root = Path(root).expanduser()
    if not root.is_dir():
        raise DataError("no such folder" if not root.exists() else "a file, not a folder", where=str(root), fix=_LAYOUT)
    if classes is not None and (isinstance(classes, str) or len(set(classes)) < max(2, len(classes))):
        raise ConfigError(f"data.classes is a list of two or more different names, not {classes!r}")
    pairs = {split: _pairs(*folders) for split, folders in _split_folders(root).items()}
    samples = {
        split: PairedSamples([str(picture) for picture, _ in found], [str(mask) for _, mask in found])
        for split, found in pairs.items()
    }
    channels, size, notes = _look_at([picture for picture, _ in pairs["train"]])
    lossy = [pair for found in pairs.values() for pair in found if pair[1].suffix.lower() in LOSSY_SUFFIXES]
    if lossy:
        notes.append(f"{len(lossy):,} masks are JPEG or WebP, which change the numbers at edges: PNG keeps them")
    notes += passed_over(root, {path for found in pairs.values() for pair in found for path in pair})
    image = {"kind": "image", "channels": channels, "size": size, "augment": "standard"}
    mask = {"kind": "mask", "classes": None if classes is None else names_of(classes, "data.classes")}
    return DataSource(
        "mask_folder", samples["train"], {IMAGE: image}, {MASK: mask}, samples.get("val"), samples.get("test"),
        f"pictures and masks in {root}", pipeline="image_mask", notes=notes,
    )  # fmt: skip


def _split_folders(root: Path) -> dict[str, tuple[Path, Path]]:
    """The folders of pictures and masks of each split; "train" alone where there are no splits."""
    found: dict[str, tuple[Path, Path]] = {}
    for split_first in (True, False):
        parent = root if split_first else root / _PICTURES
        for entry in sorted(parent.iterdir()) if parent.is_dir() else ():
            split = SPLIT_NAMES.get(entry.name.lower())
            pair = (entry / _PICTURES, entry / _MASKS) if split_first else (entry, root / _MASKS / entry.name)
            if split is None or not all(folder.is_dir() for folder in pair):
                continue
            if split in found:
                raise DataError(f"two folders for the split {split}: {found[split][0]} and {pair[0]}", where=str(root))
            found[split] = pair
    if "train" in found:
        return found
    pair = (root / _PICTURES, root / _MASKS)
    if not all(folder.is_dir() for folder in pair):
        raise DataError("no folders 'images' and 'masks' in it", where=str(root), fix=_LAYOUT)
    return {"train": pair}


def _pairs(pictures: Path, masks: Path) -> list[tuple[Path, Path]]:
    """Each picture with its mask, in order."""
    found, wanted = _by_stem(pictures), _by_stem(masks)
    if not found:
        raise DataError("no pictures", where=str(pictures), fix=_LAYOUT)
    for ours, theirs, what in ((found, wanted, "mask"), (wanted, found, "picture")):
        alone = sorted(ours.keys() - theirs.keys())
        if alone:
            more = f" (and {len(alone) - 1} others)" if len(alone) > 1 else ""
            raise DataError(f"no {what} of the same name{more}", where=str(ours[alone[0]]), fix=_LAYOUT)
    return [(path, wanted[stem]) for stem, path in found.items()]


def _by_stem(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in files_below(folder, IMAGE_SUFFIXES):
        first = found.setdefault(str(path.relative_to(folder).with_suffix("")), path)
        if first is not path:
            raise DataError(f"two files of one name: {first.name} and {path.name}", where=str(path.parent))
    return found


def _look_at(pictures: Sequence[Path]) -> tuple[int, tuple[int, int] | int, list[str]]:
    """Channels and size of the input, from the headers of the training pictures."""
    modes, sizes = set(), set()
    for path in pictures:
        with opened_image(path) as picture:
            modes.add(picture.mode)
            sizes.add((picture.height, picture.width))
    channels = 1 if modes <= {"1", "L", "I", "I;16"} else 3
    if len(sizes) == 1 and max(map(max, sizes)) <= _LARGEST:
        return channels, sizes.pop(), []
    what = f"{len(sizes)} sizes" if len(sizes) > 1 else "a large size"
    return channels, _SIZE, [f"pictures of {what} are scaled to {_SIZE}x{_SIZE} px; data.image_size chooses another"]
