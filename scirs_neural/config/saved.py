"""A whole configuration from a file, such as a run folder's ``config.yaml``, with some settings changed.

The file is data: it is read as plain YAML, without Hydra, and what would be looked up elsewhere is refused.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from scirs_neural.config.imports import allow_words, import_strings
from scirs_neural.config.origin import Origin, line_of
from scirs_neural.config.overrides import Parsed, set_names
from scirs_neural.config.schema import section_of_part
from scirs_neural.core.errors import CheckpointError, ConfigError, StorageError
from scirs_neural.guard.text import read_yaml


def read_saved(path: Path) -> dict[str, Any]:
    """The settings in a file.

    Raises:
        ConfigError: there is no such file, it is no YAML mapping, or it holds an interpolation.
    """
    try:
        tree = read_yaml(path)
    except (CheckpointError, StorageError) as error:
        raise ConfigError(f"cannot read the configuration: {error.what}", where=error.where or str(path)) from error
    if not isinstance(tree, dict) or not all(isinstance(key, str) for key in tree):
        raise ConfigError("a configuration is a YAML mapping of settings", where=str(path))
    for key, text in _texts(tree, ()):
        if "${" in text:
            place = f"{path}, line {line_of(path, key)}"
            raise ConfigError(f"a saved configuration is plain data: {text!r} is not looked up", where=place)
    return tree


def change(tree: dict[str, Any], parsed: Parsed, path: Path) -> tuple[dict[str, Any], Origin]:
    """Apply overrides to a saved configuration.

    Another part chosen by name (``optimizer=sgd``) takes the place of the saved one, whose own options go with it.
    """
    origin = Origin(parsed.typed, {}, lambda: [(path, ())])
    if not (parsed.values or parsed.settings or parsed.named):
        return tree, origin
    from omegaconf import OmegaConf

    config = OmegaConf.create(tree)
    for group, name in parsed.values.items():
        if isinstance(name, list):  # of a group whose parts stand side by side
            config[group] = {part: {} for part in name}
            continue
        saved, declared = tree.get(group), section_of_part(group).model_fields
        kept = {key: value for key, value in saved.items() if key in declared} if isinstance(saved, Mapping) else {}
        config[group] = {**kept, "name": name}
    for override in parsed.settings:
        key = override.key_or_group
        if override.is_delete():
            parent, _, last = key.rpartition(".")
            holder = OmegaConf.select(config, parent) if parent else config
            if OmegaConf.is_dict(holder):
                holder.pop(last, None)
        else:
            OmegaConf.update(config, key, override.value(), merge=True, force_add=True)
    plain = OmegaConf.to_container(config, resolve=True)
    assert isinstance(plain, dict)
    settings = {str(key): value for key, value in plain.items()}
    set_names(settings, parsed.named)
    return settings, origin


def words_for(path: Path, without: Collection[str] = ()) -> str:
    """What a command on a run of this very user needs besides, so that its own code is imported; mostly nothing.

    Args:
        path: of its configuration.
        without: sections of which the command imports nothing.
    """
    try:
        saved = {section: held for section, held in read_saved(path).items() if section not in without}
        return allow_words([text for _, text in import_strings(saved)])
    except ConfigError:
        return ""  # there is none, or no command can use it


def _texts(node: object, key: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if isinstance(node, str):
        yield key, node
    elif isinstance(node, dict):
        for name, value in node.items():
            yield from _texts(value, (*key, str(name)))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _texts(value, (*key, index))
