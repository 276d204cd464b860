"""What was typed after the command: choices of a group's value, settings of a key, sweeps over either."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, Any

from scirs_neural.config.tree import FILE_CHOICE, SIDE_BY_SIDE, Tree
from scirs_neural.core.errors import ConfigError, ScirsError
from scirs_neural.core.suggestions import did_you_mean

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override

_FILE_ENDINGS = (".py", ".yaml", ".yml", ".json")
_WITH_A_MEANING = frozenset("[]{}()'\",$")
_SHORT = {"cv": "cv.folds"}  # one word for the setting that says most of a section
SEARCHPATH = "hydra.searchpath"
_INSTEAD = {  # of what Hydra's own launcher would do
    "run": "paths.runs=FOLDER: each run makes a numbered folder below it",
    "sweep": "paths.runs=FOLDER: each sweep makes a numbered folder below it",
    "mode": "-m runs every combination of several values",
    "callbacks": "callbacks=[…], plugins=[…] and plugins_modules=[./mine.py] are this program's",
    "sweeper": "-m runs a grid; python -m scirs_neural.tune searches",
    "launcher": "-m runs one job after the other; python -m scirs_neural.tune tune.workers=2 several beside each other",
}
_LISTED = ("CHOICE_SWEEP", "SIMPLE_CHOICE_SWEEP", "RANGE_SWEEP")  # Hydra's kinds of values

NAMES = frozenset(
    {"data.target", "data.leave_out", "data.columns", "data.weight", "data.unit", "data.id", "data.group_by",
     "data.text", "data.classes"}
)  # fmt: skip
"""Settings whose values, or whose keys and values, are names."""
NAMED = frozenset({"task.class_weights"})
"""Settings whose keys are names, and whose values are what Hydra makes of them."""
_OR_NOTHING = frozenset({"data.weight", "data.unit", "data.id", "data.group_by", "data.classes"})  # "null" unsets them

_FUNCTION = re.compile(r"(choice|range|glob|interval|sort|shuffle|tag|int|float|str|bool|json_str|extend_list)\s*\(")
_QUOTED = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\""""
_BARE = r"""[^\s'"\[\]{},$\\](?:[^'"\[\]{},$\\]*[^\s'"\[\]{},$\\])?"""
_ITEM = rf"\s*({_QUOTED}|{_BARE})\s*"
_PAIR = rf"""\s*({_QUOTED}|[^\s'"\[\]{{}},:$\\](?:[^'"\[\]{{}},:$\\]*[^\s'"\[\]{{}},:$\\])?)\s*:{_ITEM}"""


@dataclass
class Parsed:
    """Overrides, sorted, with the faults found on the way.

    Args:
        choices: overrides that choose the value of a group, in the form that Hydra takes.
        values: by group: the value that they choose, or several.
        settings: overrides of single keys.
        named: settings that name columns or classes, by key: what was typed.
        typed: each override as typed, by its key.
        faults: overrides that cannot be read, or choose what does not exist.
    """

    choices: list[str] = field(default_factory=list)
    values: dict[str, str | list[str]] = field(default_factory=dict)
    settings: list[Override] = field(default_factory=list)
    named: dict[str, Any] = field(default_factory=dict)
    typed: dict[str, str] = field(default_factory=dict)
    faults: list[ScirsError] = field(default_factory=list)

    def for_hydra(self) -> list[str]:
        """The overrides in the form that Hydra always takes, so that the schema can judge all of them at once."""
        return [*self.choices, *map(_as_setting, self.settings)]


def parse_overrides(texts: Sequence[str], tree: Tree, *, is_whole: bool = False) -> Parsed:
    """Sort overrides; one that chooses what does not exist becomes a fault and is left out.

    Args:
        texts: Hydra overrides, as typed.
        tree: the groups and their values.
        is_whole: they change a whole configuration, in which no value of a group can be exchanged but a part's name.
    """
    parsed = Parsed()
    groups = tree.groups()
    for text in texts:
        where = f"command line, {text}"
        key, _, typed = text.lstrip("+").partition("=")
        try:
            if (names := read_names(key, typed)) is not None:
                parsed.named[key] = names
                parsed.typed[key] = text
                continue
            override = read_override(text)
        except ConfigError as error:
            parsed.faults.append(error)
            continue
        key, faults_before = override.key_or_group, len(parsed.faults)
        parsed.named.pop(key, None)  # what was typed later holds
        if key == SEARCHPATH:
            continue  # `scirs_neural.config.compose` has read it
        if (part := key.replace("/", ".").split("."))[0] == "hydra":
            fix = _INSTEAD.get((*part, "")[1], "leave it out")
            parsed.faults.append(ConfigError(f"'{key}' is not obeyed: Hydra only composes here", where=where, fix=fix))
        elif override.is_sweep_override():
            fix = (
                "add -m to run each of them"
                if override.value_type is not None and override.value_type.name in _LISTED
                else f"write them out: {key}=a,b,c, and add -m"
            )
            parsed.faults.append(ConfigError(f"'{key}' has several values", where=where, fix=fix))
        elif key in _SHORT and not (override.is_delete() or isinstance(override.value(), dict)):
            parsed.settings.append(read_override(text.replace(key, _SHORT[key], 1)))
        elif key not in groups or isinstance(override.value(), dict) or (is_whole and override.is_delete()):
            parsed.settings.append(override)
        elif key in tree.registries or override.is_delete() or override.value() is None:
            _choose(override, tree, parsed)
        elif is_whole:
            fix = f"change single settings: {key}.…=…" if key != "experiment" else "change single settings: key=value"
            parsed.faults.append(ConfigError(f"'{key}' cannot be exchanged with --from", where=where, fix=fix))
        elif unknown := _unknown_values(override, tree, where):
            parsed.faults += unknown
        else:
            _choose(override, tree, parsed)
        if len(parsed.faults) == faults_before:
            parsed.typed[key] = text
    return parsed


def read_override(text: str) -> Override:
    """An override in Hydra's grammar; a value that the grammar has no place for is taken as the text that it is.

    Hydra knows the letters of English and few signs. A path in any other language need not be quoted here, unless it
    has brackets, quotes or commas, which have a meaning.

    Raises:
        ConfigError: it cannot be read as either.

    Example:
        >>> read_override("data.root=Käfer & Spinnen/größe=1").value()
        'Käfer & Spinnen/größe=1'
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    parser = OverridesParser.create()
    try:
        return parser.parse_override(text)
    except HydraException as error:
        key, sign, value = text.partition("=")
        if sign and value and not _WITH_A_MEANING.intersection(value):
            with contextlib.suppress(HydraException):
                return parser.parse_override(f"{key}={quoted(value)}")
        what = f"cannot read '{text}': {str(error).splitlines()[0]}"
        fix = f"""quote the value: '{key}="…"'""" if sign else "write key=value"
        raise ConfigError(what, where=f"command line, {text}", fix=fix) from error


def sweep_points(texts: Sequence[str]) -> list[list[str]]:
    """Every combination that a sweep asks for: one list of overrides a job.

    Example:
        >>> sweep_points(["seed=0,1", "model=resnet18"])
        [['seed=0', 'model=resnet18'], ['seed=1', 'model=resnet18']]
    """
    return [list(point) for point in product(*map(alternatives, texts))]


def alternatives(text: str) -> list[str]:
    """An override once for each of its values.

    Example:
        >>> alternatives("seed=0,1"), alternatives("model.hidden=[8,8]")
        (['seed=0', 'seed=1'], ['model.hidden=[8,8]'])
    """
    try:
        override = read_override(text)
    except ConfigError:
        return [text]  # the check of the job names the fault, as it does for sweeps over no list of values
    if override.value_type is None or override.value_type.name not in _LISTED:
        return [text]
    return [f"{override.get_key_element()}={value}" for value in override.sweep_string_iterator()]


def _choose(override: Override, tree: Tree, parsed: Parsed) -> None:
    group, value, text = override.key_or_group, override.value(), override.input_line or ""
    if override.is_delete():
        parsed.choices.append(text)
        return
    if group in SIDE_BY_SIDE:
        _choose_side_by_side(override, tree, parsed)
        return
    if value is not None:
        parsed.values[group] = str(value)
    if group in tree.registries and isinstance(value, str) and (":" in value or is_file_choice(value)):
        parsed.choices += [f"{group}={FILE_CHOICE}", f"++{group}.name={quoted(value)}"]
        return
    sign = "" if tree.has_default(group) else "+"
    parsed.choices.append(sign + text.lstrip("+"))


def _choose_side_by_side(override: Override, tree: Tree, parsed: Parsed) -> None:
    """Several values, one, or none. A class of the user's becomes a part of its own, under its name."""
    group, value = override.key_or_group, override.value()
    names = [str(name) for name in (value if isinstance(value, list) else [value]) if name not in (None, "none")]
    named = [name for name in names if ":" not in name and not is_file_choice(name)]
    parsed.values[group] = named
    parsed.choices.append(f"{'' if tree.has_default(group) else '+'}{group}=[{','.join(named)}]")
    for mine in (name for name in names if name not in named):
        parsed.settings.append(read_override(f"{group}.{mine.rpartition(':')[2]}.name={quoted(mine)}"))


def is_file_choice(value: object) -> bool:
    """Whether a group's value names a file of the user's: ``./net.yaml``, ``./net.py:Net``."""
    return isinstance(value, str) and value.partition(":")[0].endswith(_FILE_ENDINGS)


def _as_setting(override: Override) -> str:
    text = override.input_line or ""
    return text if override.is_delete() else f"++{text.lstrip('+')}"


def as_override(key: str, value: object) -> str:
    """A setting with a value of Python's in Hydra's grammar.

    Example:
        >>> as_override("data.transforms", ["light", None]), as_override("trainer.compile", True)
        ("data.transforms=['light',null]", 'trainer.compile=true')
    """
    return f"{key}={_in_grammar(value)}"


def _in_grammar(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_in_grammar, value))}]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{_in_grammar(held)}" for key, held in value.items()) + "}"
    return quoted(value) if isinstance(value, str) else repr(value)


def quoted(text: str) -> str:
    r"""A text in Hydra's grammar.

    Example:
        >>> quoted("it's")
        "'it\\'s'"
    """
    return "'" + text.replace("'", r"\'") + "'"


def _unknown_values(override: Override, tree: Tree, where: str) -> list[ScirsError]:
    """A fault for each value that a group of files does not have."""
    group, value, known = override.key_or_group, override.value(), tree.values(override.key_or_group)
    fix = f"choose one of {', '.join(known)}" if known else None
    return [
        ConfigError(
            f"unknown {group} '{name}'",
            where=where,
            suggestions=did_you_mean(name, known),
            fix=fix or f"put {name}.yaml into ./configs/{group}/",
        )
        for name in map(str, value if isinstance(value, list) else [value])
        if name not in known
    ]


def read_names(key: str, text: str) -> Any:
    """The names in a setting as typed; None if it is no such setting, or is left to Hydra: ``null``, sweeps, functions.

    Hydra's grammar makes 1000.0 of ``1e3`` and None of ``null``, and takes no quotes around the keys of a group.

    Args:
        key: of the setting.
        text: its value, as typed.

    Example:
        >>> read_names("data.leave_out", "[inf, null,1e3,'a, b',größe]")
        ['inf', 'null', '1e3', 'a, b', 'größe']
        >>> read_names("data.columns", "{2020:number,'a:b':date:%d/%m/%Y,c:'number:,'}")
        {'2020': 'number', 'a:b': 'date:%d/%m/%Y', 'c': 'number:,'}
        >>> read_names("data.target", "2020"), read_names("data.weight", "null"), read_names("data.target", "a,b")
        ('2020', None, None)
        >>> read_names("task.class_weights", "{1e3:2,null:0.5}")
        {'1e3': 2, 'null': 0.5}
    """
    text = text.strip()
    if key not in NAMES | NAMED:
        return None
    if text[:1] == "{" and text[-1:] == "}":
        pairs = _all(_PAIR, text[1:-1])
        values = [read_override(f"{key}={held}").value() if key in NAMED else _bare(held) for _, held in pairs or ()]
        return None if pairs is None else {_bare(name): value for (name, _), value in zip(pairs, values, strict=True)}
    if key in NAMED:
        return None
    if text[:1] == "[" and text[-1:] == "]":
        items = _all(_ITEM, text[1:-1])
        return None if items is None else [_bare(item) for (item,) in items]
    if not re.fullmatch(_ITEM, text) or (text == "null" and key in _OR_NOTHING) or _FUNCTION.match(text):
        return None
    return _bare(text)


def set_names(settings: dict[str, Any], named: Mapping[str, Any]) -> None:
    """Put names where they belong, in composed settings; groups are added to those that are there."""
    for key, value in named.items():
        section, _, option = key.partition(".")
        part = settings.setdefault(section, {})
        if isinstance(part, dict):
            held = part.get(option)
            part[option] = {**held, **value} if isinstance(value, dict) and isinstance(held, dict) else value


def _all(pattern: str, text: str) -> list[tuple[str, ...]] | None:
    """What a pattern finds, again and again between commas; None if anything else stands there."""
    found: list[tuple[str, ...]] = []
    place = 0
    while text.strip():
        match = re.compile(rf"{pattern}(,|$)").match(text, place)
        if match is None:
            return None
        found.append(match.groups()[:-1])
        place = match.end()
        if place == len(text):
            break
    return found


def _bare(text: str) -> str:
    """Without its quotes."""
    if text[0] in "'\"" and text[-1] == text[0]:
        return re.sub(r"\\(.)", r"\1", text[1:-1])
    return text
