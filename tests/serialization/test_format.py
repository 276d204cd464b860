"""The specification is true: the schema, what is refused, and the small reader; its bytes are in test_bits.py."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import torch
from safetensors.numpy import load

import scirs_neural as sn
from scirs_neural.core.errors import CheckpointError, ScirsError
from scirs_neural.serialization.manifest import dump, hash_of
from scirs_neural.serialization.schema import SCHEMA_FILE, TYPES, schema_text
from tests.serialization.rewriting import rewrite

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "format.md"
JSON_MEMBERS = [name for name in TYPES if name != "manifest.json"]


def test_the_shipped_schema_is_what_the_code_says() -> None:
    assert SCHEMA_FILE.read_text() == schema_text(), "python -m scirs_neural.serialization.schema > the file"
    jsonschema.Draft202012Validator.check_schema(json.loads(schema_text()))


def test_an_independent_judge_takes_every_package(saved, small: Path) -> None:
    judge = jsonschema.Draft202012Validator(json.loads(SCHEMA_FILE.read_text()))
    for path in [small / "net", *(path for path, _, _ in saved.values() if path.is_dir())]:
        documents = {name: json.loads((path / name).read_text()) for name in TYPES if (path / name).exists()}
        assert list(judge.iter_errors(documents)) == []


def spoil(member: str, change: Callable[[Any], Any]) -> Callable[[dict[str, bytes]], None]:
    def apply(held: dict[str, bytes]) -> None:
        plain = json.loads(held[member])
        held[member] = json.dumps(change(plain) or plain).encode()

    return apply


def put(key: str, value: Any) -> Callable[[Any], Any]:
    return lambda plain: {**plain, key: value}


SPOILED = {
    "no kind": spoil("model.json", lambda plain: {"name": "mlp"}),
    "unknown kind": spoil("model.json", put("kind", "pickle")),
    "unknown key": spoil("model.json", put("_target_", "os.system")),
    "an import string": spoil("model.json", put("name", "os:system")),
    "a file": spoil("model.json", put("name", "./net.py:Net")),
    "classes as text": spoil("model.json", put("num_classes", "10")),
    "no classes": spoil("model.json", put("num_classes", 0)),
    "modifications as mapping": spoil("model.json", put("modifications", {})),
    "an unknown modification": spoil("model.json", put("modifications", [{"kind": "quantization"}])),
    "a modification of texts": spoil(
        "model.json", put("modifications", [{"kind": "settings", "modules": {"head": {"bias": "x"}}}])
    ),
    "a negative width": spoil(
        "model.json", put("modifications", [{"kind": "channels", "modules": {}, "tensors": {"a": [-1]}}])
    ),
    "a version 1 key": spoil("model.json", put("plans", [])),
    "a field of no kind": spoil("spec.json", put("inputs", {"image": {"size": [8, 8]}})),
    "a field by import string": spoil("spec.json", put("inputs", {"image": {"kind": "os:system"}})),
    "inputs as list": spoil("spec.json", put("inputs", [])),
    "a spec without a format": spoil("spec.json", lambda plain: {k: v for k, v in plain.items() if k != "format"}),
    "a pipeline by import string": spoil("spec.json", put("pipeline", "os:system")),
    "a task by import string": spoil("task.json", put("name", "./mine.py:Task")),
    "a task without a version": spoil("task.json", lambda plain: {"name": plain["name"]}),
    "a task with more": spoil("task.json", put("entry_point", "os:system")),
    "answers as list": spoil("answer.json", lambda plain: [1]),
    "plugins as mapping": spoil("plugins.json", lambda plain: {"a": plain}),
    "a plugin without a name": spoil("plugins.json", lambda plain: [{"version": 1}]),
    "metrics as text": spoil("metrics.json", lambda plain: {"test": {"accuracy": "good"}}),
    "metrics as list": spoil("metrics.json", lambda plain: [1]),
    "a part of another kind": spoil(
        "manifest.json", put("parts", [{"kind": "module", "name": "os", "distribution": None, "version": None}])
    ),
    "a distribution that is none": spoil(
        "manifest.json", put("parts", [{"kind": "task", "name": "a", "distribution": "a; rm", "version": None}])
    ),
    "a manifest of another time": spoil("manifest.json", put("created", "yesterday")),
    "a manifest with more": spoil("manifest.json", put("entry_point", "os:system")),
    "a manifest with less": spoil("manifest.json", lambda plain: {k: v for k, v in plain.items() if k != "licences"}),
}


@pytest.mark.feature(111)
@pytest.mark.parametrize("what", SPOILED)
def test_spoiled_members_are_refused_by_code_and_schema(small: Path, tmp_path: Path, what: str) -> None:
    path = rewrite(small / "net", tmp_path / "spoiled", SPOILED[what])
    for look in (sn.verify_package, sn.inspect_package, sn.load_package):
        with pytest.raises(ScirsError):
            look(path)
    documents = {name: json.loads((path / name).read_text()) for name in TYPES}
    assert not jsonschema.Draft202012Validator(json.loads(SCHEMA_FILE.read_text())).is_valid(documents)


def put_in(part: str, field: str, key: str, value: Any) -> Callable[[Any], Any]:
    return lambda plain: {**plain, part: {**plain[part], field: {**plain[part][field], key: value}}}


def settings(modules: Any) -> Callable[[Any], Any]:
    return put("modifications", [{"kind": "settings", "modules": modules}])


def drop(name: str) -> Callable[[dict[str, bytes]], None]:
    return lambda held: held.pop(name) and None


def add(name: str, content: bytes = b"x") -> Callable[[dict[str, bytes]], None]:
    return lambda held: held.update({name: content})


def other_weights(held: dict[str, bytes]) -> None:
    from safetensors.numpy import save

    head, scale = np.zeros((2, 3), "float32"), np.zeros(10, "float32")
    held["weights.safetensors"] = save({"head.weight": head, "plugins/0/scale": scale})


BROKEN: dict[str, tuple[Callable[[dict[str, bytes]], None], str]] = {
    "no model": (drop("model.json"), "no model.json"),
    "no weights": (drop("weights.safetensors"), "no weights.safetensors"),
    "a pickle": (add("weights.pkl"), "members"),
    "code": (add("exports.py"), "members"),
    "a hidden file": (add("exports/.hidden"), "members"),
    "JSON cut off": (add("task.json", b'{"name": "a"'), "no JSON"),
    "a key twice": (add("task.json", b'{"name": "a", "name": "b"}'), "stands twice"),
    "NaN": (add("metrics.json", b'{"test": {"loss": NaN}}'), "NaN"),
    "no safetensors": (add("weights.safetensors", b"PK"), "header"),
    "the weights of another net": (other_weights, "weights are not of the network"),
    "more classes than weights": (spoil("model.json", put("num_classes", 11)), "of another shape: head.base.bias"),
    "a mean too few": (spoil("spec.json", put_in("inputs", "image", "mean", [])), "do not fit"),
    "a newer field": (spoil("spec.json", put_in("inputs", "image", "version", 7)), "version 7"),
    "a field of a stranger": (
        spoil("spec.json", put_in("inputs", "image", "kind", "lidar")), "needs the field 'lidar'"),
    "a newer spec": (spoil("spec.json", put("format", 9)), "format 9"),
    "a newer task": (spoil("task.json", put("version", 7)), "version 7"),
    "a task of a stranger": (spoil("task.json", put("name", "classifier")), "needs the task 'classifier'"),
    "a newer plugin": (spoil("plugins.json", lambda plain: [plain[0] | {"version": 7}]), "version 7"),
    "a plugin of a stranger": (spoil("plugins.json", lambda plain: [plain[0] | {"name": "x"}]), "needs the plugin 'x'"),
    "no record of a plugin": (drop("plugins.json"), "belongs to no plugin's record"),
    "a tensor of nobody": (
        spoil("plugins.json", lambda plain: [plain[0] | {"record": {"scale": {"$tensor": "plugins/1"}}}]),
        "names the tensor 'plugins/1'"),
    "a tensor of the network": (
        spoil("plugins.json", lambda plain: [plain[0] | {"record": {"scale": {"$tensor": "head.base.bias"}}}]),
        "names the tensor 'head.base.bias'"),
    "a record that does something else": (
        spoil("plugins.json", lambda plain: [plain[0] | {"record": plain[0]["record"] | {"at": []}}]),
        "weights are not of the network"),
    "a record that is wrong": (
        spoil("plugins.json", lambda plain: [plain[0] | {"record": plain[0]["record"] | {"at": ["nose"]}}]),
        "cannot be built"),
    "a record of terabytes": (
        spoil("plugins.json", lambda plain: [plain[0] | {"record": plain[0]["record"] | {"rank": 2**38}}]),
        "of another shape"),
    "an unknown network": (spoil("model.json", put("name", "mlpp")), "unknown model 'mlpp'"),
    "an unknown option": (spoil("model.json", put("options", {"hiden": [3]})), "no option 'hiden'"),
    "an option of another type": (spoil("model.json", put("options", {"hidden": "3"})), "hidden"),
    "weights as option": (spoil("model.json", put("options", {"weights": "x.pth"})), "'weights' is no option"),
    "a modification of nothing": (
        spoil("model.json", settings({"nose": {"p": 0.5}})), "changes 'nose'"),
    "a modification that adds": (
        spoil("model.json", settings({"head": {"hook": 1}})), "head.hook"),
    "a modification of the private": (
        spoil("model.json", settings({"": {"_modules": 1}})), "_modules"),
    "terabytes": (spoil("model.json", put("options", {"hidden": [2**19, 2**19]})), "of the network"),
    "more than there is": (spoil("model.json", put("options", {"hidden": [2**40, 2**40]})), "cannot be built"),
    "a million layers": (spoil("model.json", put("options", {"hidden": [1] * 200_000})), "more than 1,300 layers"),
    "a newer version": (spoil("manifest.json", put("version", 3)), "reads versions up to 2"),
}  # fmt: skip


@pytest.mark.parametrize("what", BROKEN)
def test_broken_packages_are_refused_with_the_reason(small: Path, tmp_path: Path, what: str) -> None:
    change, reason = BROKEN[what]
    path = rewrite(small / "net", tmp_path / "broken", change)
    with pytest.raises(ScirsError, match=re.escape(reason)) as caught:
        sn.load_package(path)
    assert len(caught.value.render().splitlines()) <= 6
    assert str(path) in str(caught.value)


def graph_of(layers: Any, inputs: Any) -> Callable[[dict[str, bytes]], None]:
    return spoil("model.json", lambda plain: {**plain, "spec": {"format": 1, "inputs": inputs, "layers": layers}})


LARGE = {
    "a repetition": (graph_of([{"repeat": {"times": 10**9, "layers": ["relu"]}}], {"x": [4]}), "without 'repeat'"),
    "a nest": (graph_of([{"sequential": [["relu"]]}], {"x": [4]}), "without 'sequential'"),
    "a list in short": (graph_of(["relu"], {"x": [4]}), "layers as mappings"),
    "no list": (graph_of(5, {"x": [4]}), "layers as mappings"),
    "many layers": (graph_of([{"relu": {}}] * 5_000, {"x": [4]}), "far more than the weights are of"),
    "many time steps": (
        graph_of([{"recurrent": {"cell": "peephole_lstm_cell", "hidden_size": 2, "input_size": 2}}], {"x": [10**9, 2]}),
        "far too many steps",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", LARGE)
def test_graphs_that_would_take_for_ever_are_refused(saved, tmp_path: Path, what: str) -> None:
    change, reason = LARGE[what]
    path = rewrite(saved["builder-functional"][0], tmp_path / "large", change)
    with pytest.raises(ScirsError, match=re.escape(reason)):
        sn.load_package(path)
    assert torch.is_grad_enabled()


EVIL = ("./mine.py:Net", "HERE/mine.py:Net", "mine:Net", "os:system", "torch.nn:Linear", "_target_", "eval")


@pytest.mark.parametrize("layer", EVIL)
def test_layers_of_a_package_are_those_of_the_table(
    saved, tmp_path: Path, layer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    canary = tmp_path / "canary"
    (tmp_path / "mine.py").write_text(f"import os\nos.system('touch {canary}')\nNet = print\n")

    def change(plain: dict[str, Any]) -> dict[str, Any]:
        named = layer.replace("HERE", str(tmp_path))
        plain["spec"]["layers"].insert(0, {named: {}, "as": "evil", "from": ["x"]})
        return plain

    path = rewrite(saved["builder-functional"][0], tmp_path / "broken", spoil("model.json", change))
    with pytest.raises(ScirsError):
        sn.load_package(path)
    assert not canary.exists()


def test_a_manifest_must_name_what_is_there(small: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="does not name"):
        sn.load_package(rewrite(small / "net", tmp_path / "more", add("exports/more.onnx"), hashes=False))
    with pytest.raises(CheckpointError, match=r"words.txt is damaged: it is not there"):
        sn.load_package(rewrite(small / "net", tmp_path / "less", drop("tokenizer/words.txt"), hashes=False))
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match="it is no package"):
        sn.load_package(tmp_path / "empty")
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "manifest.json").write_text('{"name": "a web app", "version": "1"}')
    with pytest.raises(CheckpointError, match="not that of a package"):
        sn.load_package(tmp_path / "web")


def reader_of_the_docs() -> str:
    (code,) = re.findall(r"```python\n# reader[^\n]*\n(.*?)```", PAGE.read_text(), re.S)
    return code


@pytest.mark.feature(111)
def test_the_reader_of_the_docs_needs_numpy_and_safetensors_only(saved, small: Path, python, tmp_path: Path) -> None:
    code = reader_of_the_docs()
    assert len([line for line in code.splitlines() if line.strip()]) <= 40
    taken = {line.split()[1].partition(".")[0] for line in code.splitlines() if re.match("(import|from) ", line)}
    assert taken - set(sys.stdlib_module_names) == {"numpy", "safetensors"}
    (tmp_path / "reader.py").write_text(code)
    package, _, _ = saved["zoo-cnn"]
    check = (
        f"import sys, reader; manifest, held = reader.read_package({str(package)!r})\n"
        "weights = reader.load(held['weights.safetensors'])\n"
        "print(sorted(weights)[0], float(weights['head.bias'].sum()))\n"
        "print({'torch', 'scirs_neural', 'pickle'} & set(sys.modules) - {'pickle'})"
    )
    ended = python("-c", check, cwd=tmp_path)
    bias = sn.load_package(package).model.head.bias.detach()
    first, none = ended.stdout.splitlines()
    assert (first.split()[0], none) == ("head.bias", "set()"), ended.stderr
    assert float(first.split()[1]) == pytest.approx(float(bias.sum()), abs=1e-6)
    shown = python("reader.py", str(small / "net"), cwd=tmp_path).stdout.split()
    assert shown == ["digits-mlp", "zoo", "classification", "image", "7", "127"]
    rewrite(small / "net", tmp_path / "spoiled", add("task.json"), hashes=False)
    assert "damaged" in python("reader.py", str(tmp_path / "spoiled"), cwd=tmp_path).stderr


def test_the_reader_of_the_docs_sees_the_same_numbers(saved) -> None:
    held: dict[str, Any] = {}
    exec(reader_of_the_docs().partition("if __name__")[0], held)
    for name, (path, _, _) in saved.items():
        _, files = held["read_package"](path)
        if name == "bfloat16":
            continue  # numpy has no such numbers
        from tests.serialization.nets import net

        ours = net(name)[0].state_dict()
        theirs = load(files["weights.safetensors"])
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[key], torch.from_numpy(theirs[key].copy())) for key in ours)


def test_the_page_shows_a_manifest_as_it_is(small: Path) -> None:
    (text,) = re.findall(r"```json\n(.*?)```", PAGE.read_text(), re.S)
    shown, real = json.loads(text), json.loads((small / "net" / "manifest.json").read_text())
    assert shown.keys() == real.keys()
    assert dump(real) == (small / "net" / "manifest.json").read_bytes()
    assert hash_of([b"abc"]).size == 3
