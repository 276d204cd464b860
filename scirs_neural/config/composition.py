"""Hydra's composition: the user's ``./configs``, the shipped tree, registered names and the overrides.

The schema judges the result. Hydra stops at its first complaint and lets ``+key`` through, so every setting is handed
to it as ``++key=value``, which it always takes, and all faults are found in one pass over the composed tree. Nothing
else imports Hydra, but for the grammar of overrides (`overrides.read_override`).
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from hydra import compose, initialize_config_dir
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.global_hydra import GlobalHydra
from hydra.core.object_type import ObjectType
from hydra.core.plugins import Plugins
from hydra.errors import HydraException, MissingConfigException
from hydra.plugins.config_source import ConfigResult, ConfigSource
from hydra.plugins.search_path_plugin import SearchPathPlugin
from hydra.types import RunMode
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from scirs_neural.config.origin import Key, Origin, line_of, short
from scirs_neural.config.overrides import SEARCHPATH, Parsed, set_names
from scirs_neural.config.tree import SIDE_BY_SIDE, Tree, default_options
from scirs_neural.core.errors import ConfigError
from scirs_neural.core.registry import Registry
from scirs_neural.core.suggestions import did_you_mean

_HYDRAS_OWN = re.compile(r"^hydra\s*:", re.MULTILINE)


def compose_tree(tree: Tree, parsed: Parsed) -> tuple[dict[str, Any], Origin]:
    """The composed settings as plain data, interpolations resolved, and where each came from."""
    overrides = parsed.for_hydra()
    choices = {group: text for group, text in parsed.typed.items() if group in parsed.values}
    settings_typed = {key: text for key, text in parsed.typed.items() if key not in choices}
    origin = Origin(settings_typed, choices, lambda: _files(tree, parsed, overrides))
    try:
        with _hydra(tree):
            composed = compose(tree.primary, overrides=overrides)
            settings = OmegaConf.to_container(composed, resolve=True)
    except YAMLError as error:
        reason, _, place = str(error).replace("\n", " ").partition(' in "')
        raise ConfigError(f"cannot read YAML: {reason}", where=place.replace('"', "") or None) from error
    except (HydraException, OmegaConfBaseException) as error:
        raise _as_config_error(error, tree, origin) from error
    assert isinstance(settings, dict)
    _refuse_hydras_own(tree, origin)
    whole = tree.with_defaults({str(key): value for key, value in settings.items()})
    set_names(whole, parsed.named)
    return whole, origin


@contextlib.contextmanager
def _hydra(tree: Tree) -> Iterator[None]:
    """Hydra, looking for configs in the first folder first."""
    RegisteredNames.registries = tree.registries
    Folders.added = [*(f"file://{folder}" for folder in tree.folders[1:]), f"{RegisteredNames.scheme()}://"]
    for plugin in (RegisteredNames, Folders):
        Plugins.instance().register(plugin)
    GlobalHydra.instance().clear()
    try:
        initialize_config_dir(str(tree.folders[0]), version_base="1.3")
        yield
    finally:
        Folders.added = ()
        GlobalHydra.instance().clear()


def _files(tree: Tree, parsed: Parsed, overrides: list[str]) -> Iterator[tuple[Path, Key]]:
    """The files of a composition, the ones that win first, each with the place where it is mounted."""
    try:
        with _hydra(tree):
            loader = GlobalHydra.instance().config_loader()
            listed = loader.compute_defaults_list(tree.primary, overrides, RunMode.RUN).defaults
        named = [(str(entry.config_path), entry.package or "") for entry in reversed(listed)]
    except HydraException:  # the list names what does not exist: those that can have named it
        values = {group: held if isinstance(held, list) else [held] for group, held in parsed.values.items()}
        chosen = [(f"{group}/{name}", group) for group, names in values.items() for name in names]
        named = [(name, "" if group == "experiment" else group) for name, group in chosen] + [(tree.primary, "")]
    for name, package in named:
        if path := tree.find(name):
            yield path, tuple(package.split(".")) if package else ()


def _refuse_hydras_own(tree: Tree, origin: Origin) -> None:
    """Hydra's own settings in files of the user's, such as where its launcher works: nothing would come of them."""
    mine = [path for folder in tree.folders[:-1] for path in folder.rglob("*.yaml")]
    if not any(_HYDRAS_OWN.search(path.read_text(errors="replace")) for path in mine):
        return
    for path, package in origin.files:
        if not package and (line := line_of(path, ("hydra",))) is not None:
            fix = f"leave it out; paths.runs=FOLDER says where runs are kept, {SEARCHPATH}=[…] is for the command line"
            where = f"{short(path)}, line {line}"
            raise ConfigError("the section 'hydra' is not obeyed: Hydra only composes here", where=where, fix=fix)


def _as_config_error(error: Exception, tree: Tree, origin: Origin) -> ConfigError:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [repr(error)]
    missing = error.missing_cfg_file if isinstance(error, MissingConfigException) else None
    if missing is not None:  # a defaults list of the user's names it
        group, _, name = missing.rpartition("/")
        suggestions = did_you_mean(name, tree.values(group))
        return ConfigError(
            f"unknown {group or 'config'} '{name}'", where=origin.of_choice(group), suggestions=suggestions
        )
    key = str(getattr(error, "full_key", None) or getattr(error.__cause__, "full_key", None) or "")
    fix = "the first line of an experiment must be: # @package _global_" if "@experiment." in lines[0] else None
    return ConfigError(lines[0], where=origin.of(tuple(key.split("."))) or (key or None), fix=fix)


class Folders(SearchPathPlugin):
    """Where Hydra looks, after the first folder: in the others, then among the registered names.

    It adds nothing unless this package composes: a program that uses Hydra itself is left alone.
    """

    added: ClassVar[Sequence[str]] = ()  # Hydra makes the instances

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Add them."""
        for path in self.added:
            search_path.append("scirs_neural", path)


class RegisteredNames(ConfigSource):
    """Every registered name as a value of its group, made when Hydra asks for it.

    Hydra's ConfigStore would hold all of them, and is copied whole for each composition.
    """

    registries: ClassVar[Mapping[str, Registry]] = {}  # Hydra makes the instances

    @staticmethod
    def scheme() -> str:
        """What the search path calls this source."""
        return "registry"

    def load_config(self, config_path: str) -> ConfigResult:
        """The part's name and the options that its entry declares, but for those that have no default."""
        group, name = self._split(config_path)
        options = default_options(self.registries[group], name)
        beside = group in SIDE_BY_SIDE
        config = OmegaConf.create(options if beside else {"name": name, **options})
        return ConfigResult(self.provider, self.full_path(), config, {"package": f"{group}.{name}" if beside else None})

    def available(self) -> bool:
        """There is nothing that could be missing."""
        return True

    def is_group(self, config_path: str) -> bool:
        """Whether a path means a group."""
        return config_path.strip("/") in self.registries

    def is_config(self, config_path: str) -> bool:
        """Whether a path means a value of a group."""
        group, name = self._split(config_path)
        return group in self.registries and bool(name)  # `validate` judges names: modules of the user's may add some

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        """What a path holds."""
        group = config_path.strip("/")
        if not group:
            return sorted(self.registries) if results_filter is not ObjectType.CONFIG else []
        return self.registries[group].names() if results_filter is not ObjectType.GROUP else []

    @staticmethod
    def _split(config_path: str) -> tuple[str, str]:
        group, _, name = config_path.removesuffix(".yaml").strip("/").partition("/")
        return group, name
