"""From a command line to one checked `RunConfig`, by Hydra's composition.

Hydra composes the user's ``./configs``, the shipped tree (``scirs_neural.configs``), registered names and the
overrides; the schema judges the result. Hydra stops at its first complaint and lets ``+key`` through, so every setting
is handed to it as ``++key=value``, which it always takes, and all faults are then found in one pass over the composed
tree.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from hydra.errors import HydraException, MissingConfigException
from hydra.types import RunMode
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from scirs_neural.config.imports import import_strings, refuse_untyped, typed_texts
from scirs_neural.config.migrate import migrate
from scirs_neural.config.origin import Key, Origin, line_of, short
from scirs_neural.config.overrides import SEARCHPATH, Parsed, parse_overrides, read_override, set_names
from scirs_neural.config.saved import change, read_saved
from scirs_neural.config.schema import RunConfig
from scirs_neural.config.tree import PRIMARY, Folders, RegisteredNames, Tree
from scirs_neural.config.validate import Composed, validate
from scirs_neural.core.errors import ConfigError
from scirs_neural.core.registry import Registry
from scirs_neural.core.suggestions import did_you_mean

_HYDRAS_OWN = re.compile(r"^hydra\s*:", re.MULTILINE)


@dataclass(frozen=True)
class Request:
    """What the user asked for, before anything is composed.

    Args:
        overrides: Hydra overrides, as typed.
        config_dir: a folder whose configs extend and shadow the shipped ones; None takes ``./configs`` if there is one.
        config_file: a whole configuration, such as a run folder's ``config.yaml``, in place of the shipped tree.
        allow: what that file names and may be imported, beside what stands in the overrides: the user typed it.
        made: sections of that file whose part is at hand already, so that its name is not looked up.
        config_name: the file whose defaults list begins the composition.
    """

    overrides: Sequence[str] = ()
    config_dir: Path | None = None
    config_file: Path | None = None
    allow: Collection[str] = ()
    made: Collection[str] = ()
    config_name: str = PRIMARY

    def tree(self, registries: Mapping[str, Registry]) -> Tree:
        """The groups and their values.

        Raises:
            ConfigError: a folder was named that does not exist, or no folder has the primary config.
        """
        if self.config_file is not None:
            return Tree(registries)
        tree = Tree(registries, [*self._user_configs(), *self._search_path()], self.config_name)
        if tree.find(self.config_name) is None:
            known = sorted({path.stem for folder in tree.folders for path in folder.glob("*.yaml")})
            raise ConfigError(
                f"no config '{self.config_name}'",
                where="command line, --config-name",
                suggestions=did_you_mean(self.config_name, known),
                fix=f"choose one of {', '.join(known)}",
            )
        return tree

    def _user_configs(self) -> list[Path]:
        if self.config_dir is not None and not self.config_dir.is_dir():
            raise ConfigError(f"no such folder: {self.config_dir}", where="command line, --config-dir")
        folder = (self.config_dir or Path("configs")).resolve()
        return [folder] if folder.is_dir() and not (folder / "__init__.py").exists() else []

    def _search_path(self) -> Iterator[Path]:
        """The folders that ``hydra.searchpath=[file://…,pkg://…]`` names."""
        for text in self.overrides:
            if text.lstrip("+").startswith(f"{SEARCHPATH}="):
                value = read_override(text).value()
                for place in value if isinstance(value, list) else [value]:
                    scheme, sign, path = str(place).partition("://")
                    with contextlib.suppress(ModuleNotFoundError):
                        folder = Path(str(files(path))) if scheme == "pkg" else Path(path if sign else scheme).resolve()
                        if folder.is_dir():
                            yield folder
                            continue
                    raise ConfigError(f"no such folder: {place}", where=f"command line, {text}")


def load_config(request: Request, registries: Mapping[str, Registry]) -> RunConfig:
    """Compose and check a configuration.

    Args:
        request: what the user typed.
        registries: by group ("model", "data", ...): the registries whose names are that group's values.

    Raises:
        ConfigError: one fault, or `ManyErrors` with all of them; each says where the value came from.
    """
    return validate(compose_settings(request, registries))


def compose_settings(request: Request, registries: Mapping[str, Registry]) -> Composed:
    """The settings before they are checked, with where each came from, and the faults found on the way."""
    file, tree = request.config_file, request.tree(registries)
    parsed = parse_overrides(request.overrides, tree, is_whole=file is not None)
    try:
        settings, origin = _change(request, parsed, registries) if file else _compose(tree, parsed)
    except ConfigError as error:
        return Composed(None, tree, Origin(parsed.typed), (*parsed.faults, error))
    return Composed(settings, tree, origin, tuple(parsed.faults))


def vary(config: RunConfig, overrides: Sequence[str], registries: Mapping[str, Registry]) -> RunConfig:
    """A configuration with some settings changed, checked again.

    Raises:
        ConfigError: one fault, or `ManyErrors` with all of them.
    """
    tree = Tree(registries)
    parsed = parse_overrides(overrides, tree, is_whole=True)
    settings, _ = change(config.model_dump(mode="json"), parsed, Path())
    return validate(Composed(settings, tree, Origin(parsed.typed), tuple(parsed.faults)))


def _change(request: Request, parsed: Parsed, registries: Mapping[str, Registry]) -> tuple[dict[str, Any], Origin]:
    """A saved configuration with overrides. What would be imported must have been typed."""
    file = request.config_file
    assert file is not None
    settings, origin = change(migrate(read_saved(file), registries), parsed, file)
    resumed = settings["trainer"].get("resume") if isinstance(settings.get("trainer"), Mapping) else None
    if resumed not in (None, "auto", *typed_texts(parsed)):  # what is gone on with is written to
        fix = f"type it for this command: trainer.resume={resumed}"
        raise ConfigError(f"a saved file names a run to go on with: {resumed!r}", where=str(file), fix=fix)
    looked_up = {section: held for section, held in settings.items() if section not in request.made}
    refuse_untyped(import_strings(looked_up), {*request.allow, *typed_texts(parsed)}, str(file))
    return settings, origin


def _compose(tree: Tree, parsed: Parsed) -> tuple[dict[str, Any], Origin]:
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
