"""The pages are true: commands are accepted, snippets run, names exist."""

from __future__ import annotations

import importlib
import re
import shlex
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from scirs_neural.core.arguments import Arguments
from scirs_neural.core.registries import registry
from scirs_neural.evaluation.registry import PREDICTIONS

ROOT = Path(__file__).resolve().parent.parent
PAGES = {path.name: path.read_text() for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))}
SHIPPED = {"digits", "mnist5k", "diabetes"}  # data that needs no file of the user's
FIRST_LINE = re.compile(r"# (\S+\.(?:py|yaml|csv))\n")

# Pages with a test of their own, which runs their commands and files.
TESTED_ELSEWHERE = {
    "configuration.md": "tests/test_configuration_page.py",
    "text.md": "tests/test_pages_of_tasks.py",
    "segmentation.md": "tests/test_pages_of_tasks.py",
    "plugins.md": "tests/plugins/test_page.py",
}
# Pages whose snippets are not whole programs, with where they are shown to run.
NO_SNIPPETS = {"format.md": "tests/serialization/test_format.py", "evaluation.md": "tests/evaluation/test_own_kind.py"}
# Commands that only their grammar is tried of, with the reason.
GRAMMAR_ONLY = {
    "trainer.accelerator=tpu": "needs a TPU",
    "trainer.accelerator=xla_cpu": "needs torch_xla: tests/xla",
    "trainer.strategy=ddp": "starts processes: tests/training/test_ranks.py",
    "mine.py:Look": "the page shows no such file",
    "signs.py:SignSGD": "the page shows no such file",
    "model=resnet51": "the mistakes of the README: their message is compared below",
}


def blocks(text: str) -> list[str]:
    """The blocks of code of a page, fenced or indented by four spaces, without what shows a terminal's answer."""
    fenced = re.findall(r"^```\w*\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
    rest = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    return [*fenced, *(textwrap.dedent(block) for block in re.findall(r"(?:^ {4}.*\n)+", rest, flags=re.MULTILINE))]


def commands(text: str) -> list[str]:
    """Every `python -m scirs_neural.…` in the blocks of a page, with the lines that go on and without comments."""
    found = []
    for block in blocks(text):
        for line in block.replace("\\\n", " ").splitlines():
            line = re.sub(r"\s+# .*$", "", line)
            for part in re.split(r"\s{4,}(?=python -m)", line):
                if begin := re.match(r"(?:\$ |srun )?(python -m scirs_neural\.[\w.]+.*)$", part.strip()):
                    found.append(re.split(r"\s{4,}", begin[1])[0])
    return found


def fenced_python(text: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)


def files(text: str) -> dict[str, str]:
    """The files that a page shows, by the name in their first line."""
    return {begin[1]: block for block in blocks(text) if (begin := FIRST_LINE.match(block))}


HERE = {page: text for page, text in PAGES.items() if page not in TESTED_ELSEWHERE}
COMMANDS = [  # what several pages say is tried once
    (page, command)
    for command, page in {command: page for page, text in reversed(HERE.items()) for command in commands(text)}.items()
]
SNIPPETS = [
    page for page, text in HERE.items() if page not in NO_SNIPPETS and any(">>>" not in b for b in fenced_python(text))
]


class ParsedError(Exception):
    """The arguments are fine."""


@pytest.fixture
def forget(tmp_path: Path) -> Iterator[Callable[[], None]]:
    """Forgets what was imported from the folder of the test, and registered there."""
    tables = [PREDICTIONS, *map(registry, ("fields", "tasks", "models", "plugins"))]
    entries = [set(table._entries) for table in tables]

    def forgotten() -> None:
        for name in [n for n, m in sys.modules.items() if str(tmp_path) in str(getattr(m, "__file__", ""))]:
            del sys.modules[name]
        for table, kept in zip(tables, entries, strict=True):
            for name in [n for n, entry in table._entries.items() if n not in kept and not entry.distribution]:
                del table._entries[name]

    yield forgotten
    forgotten()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forget: Callable[[], None]) -> Path:
    """Where a reader works."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def write(folder: Path, page: str) -> None:
    for name, text in files(PAGES[page]).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


@pytest.mark.parametrize(("page", "command"), COMMANDS, ids=lambda value: value.removeprefix("python -m scirs_neural."))
def test_each_command_is_accepted(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], page: str, command: str
) -> None:
    """By the parser of its arguments; `train` by `--check` where the data is at hand, else by its configuration."""
    name, *words = shlex.split(command.removeprefix("python -m scirs_neural."))
    words = [word for word in words if word != "…"]
    main = importlib.import_module(f"scirs_neural.{name}").main
    only_grammar = any(part in command for part in GRAMMAR_ONLY) or name != "train" or "--from" in words
    if only_grammar or "-m" in words:
        parse = Arguments.parse_args

        def parse_only(self: Arguments, *args: Any, **kwargs: Any) -> None:
            parse(self, *args, **kwargs)
            raise ParsedError

        monkeypatch.setattr(Arguments, "parse_args", parse_only)
        with pytest.raises(ParsedError):
            main(words)
        return
    write(folder, page)
    data = next((word.removeprefix("data=") for word in words if word.startswith("data=")), "digits")
    (folder / "recipes").symlink_to(ROOT / "recipes")
    elsewhere = any(word.startswith(("data.root=", "data.path=", "experiment=")) for word in words)
    checks = not elsewhere and (data in SHIPPED or data.startswith("./"))
    assert not main([*words, *([] if "--check" in words else ["--check"])] if checks else [*words, "--cfg", "job"])
    assert not checks or "ok: this configuration can be run" in capsys.readouterr().out


def small(code: str) -> str:
    """A snippet that trains for minutes, as one that trains for a moment."""
    few = '"trainer.max_epochs=1", "trainer.limit_train_batches=3", "data.image_size=8", "logger=none"'
    code = code.replace('"resnet18"', '"cnn"').replace('"trainer.max_epochs=3"', few)
    return code.replace("max_epochs=5", "max_epochs=1, limit_train_batches=3")


@pytest.mark.parametrize("page", SNIPPETS)
def test_snippets_run(folder: Path, page: str) -> None:
    """In their order, with the page's files beside them."""
    write(folder, page)
    Image.new("L", (8, 8)).save(folder / "scan.png")
    names: dict[str, Any] = {"__name__": "page"}
    for block in fenced_python(PAGES[page]):
        if not FIRST_LINE.match(block) and ">>>" not in block:
            exec(compile(small(block), page, "exec"), names)


def test_a_run_of_files_of_ones_own_is_used_again(folder: Path, forget: Callable[[], None]) -> None:
    """Its data's file brings a kind of field, which predicting needs too."""
    import scirs_neural as sn
    from scirs_neural import train

    write(folder, "extending.md")
    names = ["./waves.py:waves", "./wave_net.py:WaveNet"]
    few = ["trainer.max_epochs=1", "trainer.limit_train_batches=1", "logger=none"]
    assert not train.main([f"data={names[0]}", f"model={names[1]}", *few])
    forget()
    run = "runs/waves-wave_net/1"
    with pytest.raises(sn.ScirsError, match="names code"):
        sn.load_run(run, allow=names[1:]).predict([[0.0] * 64])
    (prediction,) = sn.load_run(run, allow=names).predict([[0.0] * 64])
    assert prediction.answer["class"] in ("slow", "fast")


def test_the_readme_shows_what_a_mistake_prints(capsys: pytest.CaptureFixture[str]) -> None:
    from scirs_neural import train
    from scirs_neural.core.command import run_command

    (shown,) = [block for block in blocks(PAGES["README.md"]) if block.startswith("$ ")]
    command, _, expected = shown.partition("\n")
    assert run_command(train.main, shlex.split(command.removeprefix("$ python -m scirs_neural.train "))) == 2
    assert capsys.readouterr().err.strip() == expected.strip()


def test_every_page_is_found_from_the_readme() -> None:
    """Within two links, and every link leads somewhere."""
    linked = set(re.findall(r"docs/(\w+\.md)", PAGES["README.md"]))
    linked |= {name for page in linked & PAGES.keys() for name in re.findall(r"docs/(\w+\.md)", PAGES[page])}
    assert PAGES.keys() - {"README.md"} <= linked
    named = {name for text in PAGES.values() for name in re.findall(r"docs/(\w+\.md)", text)}
    assert named <= PAGES.keys()


def test_every_marked_test_is_on_the_page_of_features(request: pytest.FixtureRequest) -> None:
    page = PAGES["features.md"]
    lines = {int(line.split("|")[1]): line for line in page.splitlines() if line.startswith("| ") and line[2].isdigit()}
    for item in request.session.items:
        for mark in item.iter_markers("feature"):
            for number in mark.args:
                assert f"`{item.nodeid.partition('[')[0]}`" in lines.get(number, ""), f"make docs: {item.nodeid}"


def test_contributing_is_short_and_names_in_the_design_exist() -> None:
    assert len((ROOT / "CONTRIBUTING.md").read_text().splitlines()) <= 60
    design = PAGES["design.md"] + PAGES["extending.md"]
    for path in re.findall(r"`((?:core|config|data|models|optim|tests|docs)/[\w./]+\.\w+)`", design):
        assert (ROOT / path).is_file() or (ROOT / "scirs_neural" / path).is_file(), path
