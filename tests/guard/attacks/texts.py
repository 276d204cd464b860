"""JSON, YAML, tokenizers and whole folders of text that mean more than they say."""

# ruff: noqa: E501 - tables
from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import Any

from tests.guard.attacks.corpus import CANARY, COMMAND, Cases, family, one, put, tensor_file
from tests.guard.attacks.pickles import calls_pickled


@family("json")
def json_texts(folder: Path) -> Cases:
    texts: dict[str, bytes] = {
        "deep lists": b"[" * 200_000, "deep and closed": b"[" * 50_000 + b"]" * 50_000, "deep objects": b'{"a":' * 100_000,
        "just too deep": b"[" * 66 + b"]" * 66, "a key twice": b'{"a": 1, "a": 2}', "nan": b"[NaN]",
        "infinity": b"[-Infinity]", "1e999": b"[1e999]", "long number": b"9" * 100_000, "10 to the 40": b"1" + b"0" * 40,
        "half a letter": b'["\\udc00"]', "bom": b"\xef\xbb\xbf{}", "utf-16": "{}".encode("utf-16"), "not utf-8": b'["\xff"]',
        "two values": b"{}{}", "comma": b"[1,]", "comment": b"{} // x", "quotes": b"{'a': 1}", "empty": b"",
        "control": b'["\n"]', "million values": b"[" + b"0," * 2_000_000 + b"0]", "17 MiB": b'"' + b"x" * (17 << 20) + b'"',
    }  # fmt: skip
    for name, content in texts.items():
        yield name, put(folder / f"{name}.json", content)


@family("tokenizer")
def tokenizers(folder: Path) -> Cases:
    """Files that are no tokenizer, in the place of one."""
    words = '{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}}'
    contents: dict[str, tuple[str, bytes | str]] = {
        "a pickle": ("tokenizer.json", calls_pickled()),
        "a pickle as text": ("vocab.txt", calls_pickled()),
        "a pickle as model": ("tokenizer.model", calls_pickled()),
        "a zip": ("tokenizer.json", b"PK\x05\x06" + bytes(18)),
        "a list": ("tokenizer.json", "[]"),
        "no model": ("tokenizer.json", "{}"),
        "a model of code": ("tokenizer.json", words.replace("BPE", "os.system")),
        "a text for words": ("tokenizer.json", words.replace('{"a": 0}', '"abc"')),
        "a word twice": ("vocab.json", '{"a": 0, "a": 1}'),
        "no number": ("vocab.json", '{"a": NaN}'),
        "a list of words": ("vocab.json", "[1]"),
        "deep": ("tokenizer.json", words.replace("[]", "[" * 100_000 + "]" * 100_000)),
        "many": ("tokenizer.json", words.replace("[]", "[" + "[]," * 3_000_000 + "1]")),
        "large": ("tokenizer_config.json", b'{"a": "' + b"x" * (20 << 20) + b'"}'),
        "large text": ("merges.txt", b"a b\n" * (5 << 20)),
        "no text": ("merges.txt", b"a b\n\xff\xfe"),
        "zeros": ("vocab.txt", bytes(1000)),
        "cut off": ("special_tokens_map.json", '{"a": "b'),
        "a template of bytes": ("chat_template.jinja", b"\x80\x81"),
    }  # fmt: skip
    for name, (file, content) in contents.items():
        yield name, put(folder / name / file, content).parent
    for name, target in {"a device": "/dev/zero", "another device": "/dev/stdin"}.items():
        (folder / name).mkdir()
        (folder / name / "vocab.txt").symlink_to(target)
        yield name, folder / name
    (folder / "a folder" / "vocab.txt").mkdir(parents=True)
    yield "a folder", folder / "a folder"
    (folder / "a pipe").mkdir()
    os.mkfifo(folder / "a pipe" / "merges.txt")
    yield "a pipe", folder / "a pipe"


@family("source")
def model_folders(folder: Path) -> Cases:
    """Folders in the form of Hugging Face."""
    good = tensor_file({"w": one()["w"]}, bytes(8))
    index = "model.safetensors.index.json"
    cases: dict[str, dict[str, bytes | str]] = {
        "no weights": {"config.json": "{}"},
        "config of a list": {"config.json": "[]", "model.safetensors": good},
        "config twice": {"config.json": '{"a": 1, "a": 2}', "model.safetensors": good},
        "a pickle for weights": {"config.json": "{}", "pytorch_model.bin": calls_pickled()},
        "a bad tokenizer": {"config.json": "{}", "model.safetensors": good, "tokenizer.json": "[]"},
        "index of a list": {"config.json": "{}", index: "[]"},
        "index of numbers": {"config.json": "{}", index: '{"weight_map": {"w": 1}}'},
        "index of more": {"config.json": "{}", index: '{"weight_map": {"w": "a.safetensors", "v": "a.safetensors"}}'},
        "index of less": {"config.json": "{}", index: '{"weight_map": {}}'},
    }  # fmt: skip
    for number, place in enumerate(
        ("../a.safetensors", "/etc/passwd", "b/../a.safetensors", "a.bin", "a.safetensors\\")
    ):
        cases[f"index elsewhere {number}"] = {"config.json": "{}", index: json.dumps({"weight_map": {"w": place}})}
    for name, files in cases.items():
        for file, content in {**files, "a.safetensors": good}.items():
            put(folder / name / file, content)
        yield name, folder / name


@family("source")
def exported_programs(folder: Path) -> Cases:
    """Programs of torch.export, of which the weights are read."""
    fact = {
        "path_name": "weight_0", "is_param": True, "use_pickle": False,
        "tensor_meta": {"dtype": 7, "sizes": [{"as_int": 64}, {"as_int": 64}],
                        "strides": [{"as_int": 64}, {"as_int": 1}], "storage_offset": {"as_int": 0}},
    }  # fmt: skip

    def changed(**meta: Any) -> dict[str, Any]:
        return {**fact, "tensor_meta": {**fact["tensor_meta"], **meta}}  # type: ignore[dict-item]

    huge = [{"as_int": 1 << 40}, {"as_int": 64}]
    cases: dict[str, dict[str, Any]] = {
        "pickled": {"w": {**fact, "use_pickle": True}},
        "elsewhere": {"w": {**fact, "path_name": "../../../secret"}},
        "larger": {"w": changed(sizes=huge)},
        "expanded": {"w": changed(sizes=huge, strides=[{"as_int": 0}, {"as_int": 0}])},
        "outside": {"w": changed(storage_offset={"as_int": 1})},
        "negative": {"w": changed(strides=[{"as_int": -64}, {"as_int": 1}])},
        "symbolic": {"w": changed(sizes=[{"as_expr": "os.system"}, {"as_int": 64}])},
        "of no kind": {"w": changed(dtype=99)},
        "a list": {"w": []},
        "turned a thousand times": {
            f"w{i}": changed(strides=[{"as_int": 1}, {"as_int": 64}]) for i in range(25)
        },
    }  # fmt: skip
    cases["a name for each grain of sand"] = {f"w{i}": fact for i in range(20_000)}
    for name, config in cases.items():
        yield name, _program(folder / f"{name}.pt2", {"config": config})
    yield "no table", _program(folder / "no table.pt2", [])
    large = changed(sizes=[{"as_int": 5000}, {"as_int": 10_000}])
    grown = bytes(range(256)) * 64
    yield "compressed", _program(folder / "packed.pt2", {"config": {"w": fact}}, grown, zipfile.ZIP_DEFLATED)
    yield "bomb", _program(folder / "bomb.pt2", {"config": {"w": large}}, bytes(200_000_000), zipfile.ZIP_DEFLATED)


def _program(path: Path, table: Any, weights: bytes = bytes(4 * 64 * 64), method: int = 0) -> Path:
    with zipfile.ZipFile(path, "w", method) as made:
        made.writestr("net/archive_format", "pt2")
        made.writestr("net/data/weights/model_weights_config.json", json.dumps(table))
        made.writestr("net/data/weights/weight_0", weights)
    return path


@family("yaml")
def yaml_bombs(folder: Path) -> Cases:
    """Aliases of aliases, merges of merges, and nests."""
    for width, depth in ((2, 30), (3, 15), (9, 9), (10, 6), (100, 4)):
        rows = ["a0: &a0 [lol]"]
        for level in range(1, depth):
            rows.append(f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * width)}]")
        yield f"{width} to the {depth}", put(folder / f"{width}.yaml", "\n".join(rows))
    merged = ["a0: &a0 {k: v}"]
    for level in range(1, 25):
        merged.append(f"a{level}: &a{level} {{x: *a{level - 1}, y: *a{level - 1}, <<: *a{level - 1}}}")
    texts = {
        "merges": "\n".join(merged), "itself": "a: &a [*a]", "itself in a mapping": "a: &a {b: *a}",
        "two in a ring": "&a [&b [*a, *b]]", "unknown": "a: *b", "anchor twice": "[&a 1, &a 2]",
        "deep flow": "[" * 50_000, "deep closed": "[" * 3000 + "]" * 3000, "deep block": "- " * 50_000,
        "deep mapping": "{a: " * 20_000, "question marks": "? " * 20_000,
        "values": "- 1\n" * 150_000, "two MiB": "# " + "x" * (2 << 20),
    }  # fmt: skip
    for name, text in texts.items():
        yield name, put(folder / f"{name}.yaml", text)


@family("yaml")
def yaml_types(folder: Path) -> Cases:
    """Tags, and texts that mean two things."""
    texts = {
        "python object": f"!!python/object/apply:os.system ['{COMMAND}']",
        "python new": f"!!python/object/new:subprocess.Popen [[touch, {CANARY}]]",
        "python name": "!!python/name:os.system", "python module": "!!python/module:antigravity",
        "path": f"!!python/object/apply:pathlib.PosixPath [{CANARY}]", "tuple": "!!python/tuple [1]",
        "deep tag": "a: [{b: !!python/object/apply:os.system [id]}]", "tag on a key": "{!!str a: 1}",
        "tag directive": f"%TAG ! tag:yaml.org,2002:python/object/apply:\n---\n!os.system ['{COMMAND}']",
        "own tag": "!net {a: 1}", "binary": "!!binary aGk=", "set": "!!set {a}", "timestamp": "!!timestamp 2001-01-01",
        "env": "!ENV ${HOME}", "include": "!include /etc/passwd", "a key twice": "a: 1\na: 2", "deep twice": "b: {a: 1, a: 2}",
        "merge twice": "{<<: {a: 1}, <<: {a: 2}}", "merge of a text": "{<<: a}", "list as key": "[1]: 2",
        "two documents": "a: 1\n---\nb: 2", "infinite": "a: .inf", "1e999": "a: 1e999",
        "long number": "a: " + "9" * 5000, "sixties": "a: " + "1:" * 2000 + "1", "broken": "a: [1", "tab": "\ta: 1",
        "control": "a: \x01",
    }  # fmt: skip
    for name, text in texts.items():
        yield name, put(folder / f"{name}.yaml", text)
    yield "not utf-8", put(folder / "latin.yaml", b"a: \xe9")


@family("config")
def targets(folder: Path) -> Cases:
    """``_target_`` in every place, and through aliases: a saved configuration is data."""
    system = f"{{_target_: os.system, command: {COMMAND}}}"
    write = f"{{_target_: pathlib.Path.write_text, _args_: [{{_target_: pathlib.Path, _args_: [{CANARY}]}}, x]}}"
    places = {
        "top": f"_target_: os.system\ncommand: {COMMAND}", "model": f"model: {system}", "data": f"data: {write}",
        "option": f"model: {{name: cnn, width: {system}}}", "optimizer": f"optimizer: {system}",
        "scheduler": f"scheduler: {write}", "trainer": "trainer: {max_epochs: 1, _target_: os.system}",
        "callbacks": f"callbacks: {{x: {system}}}", "callback option": f"callbacks: {{early_stopping: {system}}}",
        "logger": f"logger: {{csv: {write}}}", "transforms": f"data: {{name: digits, augment: {system}}}",
        "alias": f"x: &t {system}\nmodel: *t", "merge": f"x: &t {system}\nmodel: {{name: cnn, <<: *t}}",
        "key by alias": "x: &t _target_\nmodel: {name: cnn, *t : os.system}",
        "hydra": f"hydra: {{launcher: {system}}}", "partial": "model: {_target_: os.system, _partial_: true}",
        "convert": "model: {name: cnn, _convert_: all}", "plugins": "plugins_modules: [os]",
    }  # fmt: skip
    for name, text in places.items():
        yield name, put(folder / f"{name}.yaml", text)


@family("config")
def resolvers(folder: Path) -> Cases:
    texts = {
        "environment": "${oc.env:HOME}", "decode": "${oc.decode:'[1]'}", "create": "${oc.create:{a: 1}}",
        "hydra": "${hydra:runtime.cwd}", "now": "${now:%Y}", "select": "${oc.select:seed}", "other": "${seed}",
        "relative": "${.name}", "nested": "${oc.env:${oc.env:X,HOME}}", "in a text": "a${seed}b", "eval": "${eval:1+1}",
    }  # fmt: skip
    for name, text in texts.items():
        yield name, put(folder / f"{name}.yaml", f'model: {{name: "{text}"}}\n')
        yield f"{name} in a list", put(folder / f"{name}-list.yaml", f'data: {{name: digits, paths: ["{text}"]}}\n')


@family("network")
def network_specs(folder: Path) -> Cases:
    """Networks as data that want to be more: code in names and options, files, sizes without end."""
    code = f"__import__('os').system('{COMMAND}')"
    specs: dict[str, Any] = {
        "file": ["./evil.py:Net"], "module": ["os:system"], "target": [{"_target_": "os.system", "command": COMMAND}],
        "dim": {"input_shape": [3, 4], "layers": [{"concat": {"dim": code}}]},
        "input name": {"inputs": {f"x=({code})": [3]}, "layers": [], "outputs": f"x=({code})"},
        "input newline": {"inputs": {f"x):\n {code}\ndef f(y": [3]}, "layers": [], "outputs": "x"},
        "keyword": {"inputs": {"lambda": [3]}, "layers": [], "outputs": "lambda"},
        "dunder": {"inputs": {"__class__": [3]}, "layers": [{"name": "__init__", "linear": 3}], "outputs": "__init__"},
        "layer name": {"input_shape": [3], "layers": [{"name": f"a'].x or {code}#", "linear": 3, "from": "nowhere"}]},
        "initial": {"input_shape": [3], "layers": [{"linear": 3, "init": {"_target_": "os.system"}}]},
        "unknown": ["system"], "dunder layer": ["__import__"], "a number": 5, "a text": code, "null": None,
        "many": {"input_shape": [3], "layers": [{"repeat": 10**9, "layers": [{"linear": 3}]}]},
        "negative": {"input_shape": [3], "layers": [{"linear": -5}]},
        "newer": {"format": 99, "layers": ["relu"]}, "text for a number": {"input_shape": [3], "layers": [{"linear": code}]},
        "shape of code": {"input_shape": [code], "layers": ["relu"]},
        "more keys": {"input_shape": [3], "layers": ["relu"], "code": code},
    }  # fmt: skip
    put(folder / "evil.py", f"import os\nos.system('{COMMAND}')\n")
    for name, spec in specs.items():
        yield name, put(folder / f"{name}.json", json.dumps(spec))
    yield "bomb", put(folder / "bomb.yaml", "a: &a [relu, relu]\nb: &b [*a, *a]\nlayers: [" + "*b, " * 90_000 + "relu]")
