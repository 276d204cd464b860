"""Published weights: from torch's cache, from the net where that is allowed, or an error that says the way without."""

from __future__ import annotations

import hashlib
from pathlib import Path
from urllib.error import URLError

import torch
import torchvision.models

from scirs_neural.core.errors import CheckpointError, OfflineError
from scirs_neural.core.paths import is_offline, storage_errors
from scirs_neural.models.cache import cached_file
from scirs_neural.models.catalog import WeightsEntry


def weights_file(model: str, weights: WeightsEntry) -> Path:
    """The file of published weights, fetched if it is not in the cache; its SHA-256 is checked every time.

    Args:
        model: the network's name.
        weights: the catalogue's row.

    Raises:
        OfflineError: it is not here and cannot be fetched.
        CheckpointError: the cached file is not the published one.
    """
    path = cached_file(weights)
    if not path.is_file():
        _fetch(model, weights, path)
    with open(path, "rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if not found.startswith(weights.sha256):
        raise CheckpointError(
            f"{weights.file} is not the published file: its SHA-256 begins with {found[:8]}, not {weights.sha256}",
            where=str(path),
            fix="delete it and fetch or copy it again",
        )
    return path


def _fetch(model: str, weights: WeightsEntry, path: Path) -> None:
    if is_offline():
        raise _offline(model, weights, path, "SCIRS_OFFLINE is set")
    url = torchvision.models.get_model_weights(model)[weights.name].url
    with storage_errors(path.parent, "make the cache folder"):
        path.parent.mkdir(parents=True, exist_ok=True)
    try:  # writes beside the target, checks the digest, then renames
        torch.hub.download_url_to_file(url, str(path), hash_prefix=weights.sha256, progress=False)
    except (URLError, TimeoutError, ConnectionError) as error:
        raise _offline(model, weights, path, str(getattr(error, "reason", error))) from error
    except RuntimeError as error:
        raise CheckpointError(f"{weights.file} came damaged: {error}", fix="try again") from error


def _offline(model: str, weights: WeightsEntry, path: Path, reason: str) -> OfflineError:
    return OfflineError(
        f"cannot fetch {weights.file} ({weights.size_mb:.0f} MB, {model} {weights.name}): {reason}",
        where=f"not in the cache folder {path.parent}",
        fix=f"copy {weights.file} there from a machine with a network, or give model.weights=/path/to/it",
    )
