"""From a command line, or a saved file and what is changed of it, to one checked `RunConfig`."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from scirs_neural.config.imports import import_strings, refuse_untyped, typed_texts
from scirs_neural.config.migrate import migrate
from scirs_neural.config.origin import Origin
from scirs_neural.config.overrides import SEARCHPATH, Parsed, parse_overrides, read_override
from scirs_neural.config.saved import change, read_saved
from scirs_neural.config.schema import RunConfig
from scirs_neural.config.tree import PRIMARY, Tree
from scirs_neural.config.validate import Composed, validate
from scirs_neural.core.errors import ConfigError
from scirs_neural.core.registry import Registry
from scirs_neural.core.suggestions import did_you_mean


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
        settings, origin = _change(request, parsed, registries) if file else _composed(tree, parsed)
    except ConfigError as error:
        return Composed(None, tree, Origin(parsed.typed), (*parsed.faults, error))
    return Composed(settings, tree, origin, tuple(parsed.faults))


def _composed(tree: Tree, parsed: Parsed) -> tuple[dict[str, Any], Origin]:
    from scirs_neural.config.composition import compose_tree  # Hydra, which saved configurations do without

    return compose_tree(tree, parsed)


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
