"""Saved, and loaded in a process that knows nothing: the same numbers."""

from __future__ import annotations

import errno
import json
import os
import textwrap
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.utils.prune import l1_unstructured

import scirs_neural as sn
from scirs_neural.core.errors import CheckpointError, StorageError, UnknownNameError
from scirs_neural.data.image.spec import Preprocess
from scirs_neural.data.spec import DataSpec
from scirs_neural.guard import write_state_dict
from scirs_neural.models import catalogue
from tests.serialization.nets import NETS, OwnNet, net, pruned

IMAGE = Preprocess(3, (9, 8), 12, "bicubic", (0.5, 0.4, 0.3), (0.2,) * 3).to_spec()
SPEC = DataSpec(
    "shapes", {"image": IMAGE}, {"label": {"kind": "labels", "version": 1, "classes": ["circle", "square"]}},
    {"train": 8, "val": 1, "test": 2}, description="imagined", licence="CC0-1.0",
)  # fmt: skip
TASK = {"name": "multi_label", "version": 1, "options": {}}


@pytest.mark.feature(108)
def test_a_fresh_process_gets_equal_outputs_from_every_kind(saved, python, tmp_path: Path) -> None:
    for name, (_, x, output) in saved.items():
        save_file({"x": x, "output": output}, tmp_path / f"{name}.safetensors")
    table = {name: str(path) for name, (path, _, _) in saved.items()}
    code = f"""
        import sys, torch
        from safetensors.torch import load_file
        from scirs_neural import load_package
        from tests.serialization.nets import OWN
        asked = []
        sys.addaudithook(lambda event, arguments: asked.append(event) if event.startswith("pickle.") else None)
        for name, path in {table!r}.items():
            held = load_file({str(tmp_path)!r} + "/" + name + ".safetensors")
            package = load_package(path, *OWN.get(name, ())[:1])
            with torch.no_grad():
                output = package.model(held["x"].clone())  # where a tensor lies in memory can change a sum's last bit
            print(name, torch.equal(output, held["output"]), package.model.training)
        print(asked)
    """
    ended = python("-c", textwrap.dedent(code), cwd=Path(__file__).parents[2])
    expected = [*(f"{name} True False" for name in NETS), "[]"]  # and no pickle was read
    assert ended.stdout.splitlines() == expected, ended.stderr


def roundtrip(model: nn.Module, path: Path, x: Tensor) -> tuple[bool, sn.Package]:
    sn.save_package(path, model)
    package = sn.load_package(path)
    with torch.no_grad():
        return torch.equal(package.model(x), model(x)), package


@pytest.mark.parametrize("name", ["squeezenet1_1", "shufflenet_v2_x0_5", "resnet18"])
def test_networks_of_the_zoo_come_back(name: str, tmp_path: Path) -> None:
    model = sn.create_model(name, num_classes=3, in_channels=1, input_size=64).eval()
    same, package = roundtrip(model, tmp_path / "net.zip", torch.randn(2, 1, 64, 64))
    assert same
    assert sn.inspect_package(package.path).model["modifications"] == []


SMALLEST = {
    min((e for e in catalogue().values() if e.family == family), key=lambda e: e.num_params).name: family
    for family in sorted({e.family for e in catalogue().values()})
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALLEST)
def test_every_family_of_the_zoo_comes_back(name: str, tmp_path: Path) -> None:
    entry = catalogue()[name]
    size = {"maxvit_t": 224, "inception_v3": 96}.get(name, min(entry.input_size, 64))
    model = sn.create_model(name, num_classes=3, in_channels=entry.in_channels, input_size=size, stem="standard").eval()
    same, package = roundtrip(model, tmp_path / "net", torch.randn(1, entry.in_channels, size, size))
    assert same
    assert sn.inspect_package(package.path).model["modifications"] == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["resnet18", "mobilenet_v3_small", "densenet121", "convnext_tiny", "efficientnet_b0", "regnet_y_400mf"]
)
def test_slim_networks_of_the_zoo_come_back(name: str, tmp_path: Path) -> None:
    model, x = sn.create_model(name, num_classes=5, in_channels=3, input_size=64).eval(), torch.randn(2, 3, 64, 64)
    before = sum(p.numel() for p in model.parameters())
    head = [m for m in model.modules() if isinstance(m, nn.Linear) and m.out_features == 5]
    same, package = roundtrip(pruned(model, x, head), tmp_path / "slim.zip", x)
    assert same
    assert sum(p.numel() for p in package.model.parameters()) < 0.5 * before
    assert [change["kind"] for change in sn.inspect_package(package.path).model["modifications"]] == ["channels"]


def test_published_sizes_and_options_are_part_of_the_name(tmp_path: Path) -> None:
    model = sn.create_model("mlp", num_classes=4, in_channels=3, input_size=(5, 7), hidden=[6], dropout=0.25).eval()
    assert roundtrip(model, tmp_path / "a", torch.randn(2, 3, 5, 7))[0]
    facts = sn.inspect_package(tmp_path / "a")
    assert (facts.model["input_size"], facts.model["options"]) == ([5, 7], {"hidden": [6], "dropout": 0.25})


def test_the_size_of_published_weights_is_part_of_the_name() -> None:
    from scirs_neural.models import on_meta
    from scirs_neural.models.create import RECIPE

    with on_meta():
        model = sn.create_model("vit_b_16", weights="IMAGENET1K_SWAG_E2E_V1")
    assert getattr(model, RECIPE)["input_size"] == (384, 384)


def test_what_goes_with_a_network_comes_back(tmp_path: Path) -> None:
    model = sn.create_model("mlp", num_classes=2, in_channels=3, input_size=(9, 8), hidden=[])
    (tmp_path / "net.onnx").write_bytes(b"graph")
    path = sn.save_package(
        tmp_path / "deep" / "all.zip", model, spec=SPEC, task=TASK, answer={"threshold": 0.25},
        metrics={"test": {"f1": 0.5, "samples": 2}}, tokenizer={"vocab.txt": b"a\nb"},
        exports={"onnx/net.onnx": tmp_path / "net.onnx"},
    )  # fmt: skip
    package = sn.load_package(path)
    assert package.spec == SPEC
    assert (package.task_record, package.answer, package.plugins) == (TASK, {"threshold": 0.25}, ())
    assert package.metrics == {"test": {"f1": 0.5, "samples": 2}}
    assert package.files == ("exports/onnx/net.onnx", "tokenizer/vocab.txt")
    assert package.read("tokenizer/vocab.txt") == b"a\nb"
    assert package.read("exports/onnx/net.onnx") == b"graph"
    manifest = package.manifest
    assert manifest.name == "shapes-mlp"
    assert {(part.kind, part.name, part.distribution) for part in manifest.parts} == {
        ("model", "mlp", "scirs-neural"), ("field", "image", "scirs-neural"), ("field", "labels", "scirs-neural"),
        ("pipeline", "fields", "scirs-neural"), ("task", "multi_label", "scirs-neural"),
    }  # fmt: skip
    assert manifest.licences == {"model": "Apache-2.0", "data": "CC0-1.0"}
    assert manifest.libraries["torch"] == torch.__version__.partition("+")[0]
    assert not package.model.training
    with pytest.raises(CheckpointError):
        package.read("tokenizer/none")


def test_halves_and_ties_stay(saved) -> None:
    half = sn.load_package(saved["bfloat16"][0])
    assert {p.dtype for p in half.model.parameters()} == {torch.bfloat16}
    own = sn.load_package(saved["own-class"][0], OwnNet).model
    assert own.again.weight is own.mix.weight


def test_the_weights_can_be_read_by_safetensors_alone(saved) -> None:
    path, x, output = saved["zoo-mlp"]
    assert path.is_dir()
    model, _ = net("zoo-mlp")
    model.load_state_dict({name: torch.zeros_like(t) for name, t in model.state_dict().items()})
    model.load_state_dict(load_file(path / "weights.safetensors"))
    assert torch.equal(model(x), output)


def test_a_slim_network_is_written_down_as_widths(saved) -> None:
    facts = sn.inspect_package(saved["pruned-zoo"][0])
    (change,) = facts.model["modifications"]
    assert change["kind"] == "channels"
    assert change["modules"]["stage1.0"] == {"out_channels": 2}
    assert change["modules"]["head"] == {"in_features": 4}
    assert change["tensors"]["stage1.0.weight"] == [2, 1, 3, 3]
    json.dumps(change)


def test_a_class_is_never_imported_for_a_file(saved) -> None:
    path, x, output = saved["own-class"]
    with pytest.raises(CheckpointError, match="the class 'OwnNet', which is not imported") as caught:
        sn.load_package(path)
    assert "model_class=OwnNet" in str(caught.value)
    assert torch.equal(sn.load_package(path, lambda **options: OwnNet(**options)).model(x), output)
    with pytest.raises(CheckpointError, match="of another shape"):
        sn.load_package(path, lambda **options: OwnNet(width=7))
    with pytest.raises(CheckpointError, match="takes no model_class"):
        sn.load_package(saved["zoo-cnn"][0], OwnNet)


def test_a_slim_network_of_a_class_comes_back_by_its_numbers(tmp_path: Path) -> None:
    class Plain(nn.Sequential):
        def __init__(self, width: int = 6) -> None:
            super().__init__(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, 3))

    model, x = Plain(width=9).eval(), torch.randn(2, 4)
    sn.save_package(tmp_path / "a.zip", model)  # what it was called with is not known: its widths are
    assert torch.equal(sn.load_package(tmp_path / "a.zip", Plain).model(x), model(x))
    own = OwnNet(width=9).eval()  # keeps values of that width outside of its weights, so its options are needed
    sn.save_package(tmp_path / "b.zip", own)
    with pytest.raises(CheckpointError, match="of another shape"):
        sn.load_package(tmp_path / "b.zip", OwnNet)
    sn.save_package(tmp_path / "b.zip", own, options={"width": 9})
    assert torch.equal(sn.load_package(tmp_path / "b.zip", OwnNet).model(x), own(x))


def test_a_network_of_a_users_file_takes_its_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(
        "from torch import nn\n"
        "class Net(nn.Module):\n"
        "    def __init__(self, num_classes, hidden=5):\n"
        "        super().__init__()\n"
        "        self.a, self.b = nn.Linear(4, hidden), nn.Linear(hidden, num_classes)\n"
        "    def forward(self, x):\n"
        "        return self.b(self.a(x))\n"
    )
    model = sn.create_model("./mine.py:Net", num_classes=3, hidden=6).eval()
    sn.save_package("net.zip", model)
    held = sn.inspect_package("net.zip").model
    assert (held["kind"], held["name"], held["options"]) == ("class", "Net", {"num_classes": 3, "hidden": 6})
    Path("mine.py").unlink()
    with pytest.raises(CheckpointError, match="is not imported"):
        sn.load_package("net.zip")
    x = torch.randn(2, 4)
    assert torch.equal(sn.load_package("net.zip", type(model)).model(x), model(x))


def test_what_cannot_be_built_again_is_not_saved(tmp_path: Path) -> None:
    path = tmp_path / "net.zip"
    model = sn.create_model("cnn", num_classes=3, depth=1, width=4)
    model.stage1[2] = nn.GELU()
    with pytest.raises(CheckpointError, match=r"no longer what its name builds: 'stage1.2' is a GELU, not a ReLU"):
        sn.save_package(path, model)
    model = sn.create_model("cnn", num_classes=3, depth=1, width=4)
    model.extra = nn.Linear(1, 1)
    with pytest.raises(CheckpointError, match="other layers: extra"):
        sn.save_package(path, model)
    model = sn.create_model("cnn", num_classes=3, depth=1, width=4)
    l1_unstructured(model.head, "weight", 0.5)
    with pytest.raises(CheckpointError, match=r"other tensors: head.weight"):
        sn.save_package(path, model)
    with pytest.raises(CheckpointError, match="is no plain data"):
        sn.save_package(path, OwnNet(), options={"width": nn.Linear(1, 1)})
    with pytest.raises(CheckpointError, match=r"metrics.json|not JSON compliant"):
        sn.save_package(path, sn.create_model("mlp"), metrics={"test": {"loss": float("nan")}})
    with torch.device("meta"):
        model = OwnNet()
    with pytest.raises(CheckpointError, match="no values"):
        sn.save_package(path, model)
    assert list(tmp_path.iterdir()) == []


def test_changed_settings_come_back(tmp_path: Path) -> None:
    model = sn.create_model("cnn", num_classes=3, depth=1, width=4).eval()
    model.stage1[1].eps, model.stage1[0].stride = 0.5, (2, 2)
    same, package = roundtrip(model, tmp_path / "a.zip", torch.randn(2, 1, 8, 8))
    assert same
    changes = sn.inspect_package(package.path).model["modifications"]
    assert changes == [{"kind": "settings", "modules": {"stage1.0": {"stride": [2, 2]}, "stage1.1": {"eps": 0.5}}}]


def test_a_package_is_replaced_and_nothing_else_is(tmp_path: Path) -> None:
    for name in ("net.zip", "net"):
        for classes in (2, 3):
            sn.save_package(tmp_path / name, sn.create_model("mlp", num_classes=classes, hidden=[]))
            assert sn.load_package(tmp_path / name).model.head.out_features == classes
    assert sorted(p.name for p in tmp_path.iterdir()) == ["net", "net.zip"]
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "thesis.txt").write_text("mine")
    with pytest.raises(StorageError, match=r"it holds other files, and no manifest\.json"):
        sn.save_package(tmp_path / "notes", sn.create_model("mlp"))
    (tmp_path / "file").write_text("mine")
    with pytest.raises(StorageError, match="will not overwrite the file"):
        sn.save_package(tmp_path / "file", sn.create_model("mlp"))
    assert (tmp_path / "notes" / "thesis.txt").read_text() == (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("name", ["net.zip", "net"])
def test_a_save_that_fails_leaves_the_old_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    sn.save_package(tmp_path / name, sn.create_model("mlp", num_classes=2, hidden=[]))
    for broken in ("scirs_neural.serialization.writing._write", "scirs_neural.serialization.package.seal"):
        with monkeypatch.context() as patch:
            patch.setattr(broken, _full_disk)
            with pytest.raises(StorageError, match="no space left"):
                sn.save_package(tmp_path / name, sn.create_model("mlp", num_classes=3, hidden=[]))
        sn.verify_package(tmp_path / name)
        assert sn.load_package(tmp_path / name).model.head.out_features == 2
        assert [path.name for path in tmp_path.iterdir()] == [name]


def _full_disk(*given: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_names_that_nobody_registered_are_refused(tmp_path: Path) -> None:
    from scirs_neural.models import MODELS

    sn.save_package(tmp_path / "net.zip", sn.create_model("mlp"))
    entry = MODELS._entries.pop("mlp")
    try:
        with pytest.raises(UnknownNameError, match="unknown model 'mlp'"):
            sn.load_package(tmp_path / "net.zip")
    finally:
        MODELS._entries["mlp"] = entry


@pytest.mark.feature(108)
@pytest.mark.parametrize("form", ["net.safetensors", "net", "net.zip"])
def test_loading_maps_the_file_and_makes_no_second_copy(python, tmp_path: Path, form: str) -> None:
    """64 MB are loaded and used, and the process's own memory grows by a twentieth of that: all else is the file's."""
    model = sn.create_model("mlp", num_classes=4, input_size=64, hidden=[4096])
    if form == "net.safetensors":
        write_state_dict(tmp_path / form, model.state_dict())
        load, values = "read_state_dict('net.safetensors')", "held.values()"
    else:
        sn.save_package(tmp_path / form, model)
        load, values = f"load_package({form!r}).model", "held.state_dict().values()"
    code = f"""
        import torch
        from scirs_neural import create_model, load_package, save_package
        from scirs_neural.guard import read_state_dict

        def own_kb():
            return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("RssAnon"))

        save_package("small.zip", create_model("mlp"))
        load_package("small.zip")  # what is imported on the way
        torch.ones(1).sum()
        before = own_kb()
        held = {load}
        total = sum(float(one.double().sum()) for one in {values} if one.numel() < 1e6)
        total += sum(float(one.sum()) for one in {values} if one.numel() > 1e6)
        print(own_kb() - before, len(list({values})))
    """
    ended = python("-W", "ignore", "-c", textwrap.dedent(code), cwd=tmp_path)
    grown_kb, tensors = map(int, ended.stdout.split())
    assert tensors == len(model.state_dict()), ended.stderr
    assert grown_kb < 3200


def test_a_loaded_network_can_be_trained_and_the_file_stays(tmp_path: Path) -> None:
    """Its memory is the file's, which is copied where it is written to."""
    path = sn.save_package(tmp_path / "net.zip", sn.create_model("cnn", num_classes=2, depth=1, width=16))
    before = path.read_bytes()
    model = sn.load_package(path).model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    old = [held.detach().clone() for held in model.parameters()]
    model(torch.randn(4, 1, 8, 8)).logsumexp(1).sum().backward()
    optimizer.step()
    assert not all(torch.equal(a, b) for a, b in zip(old, model.parameters(), strict=True))
    sn.save_package(path, model)  # over the file that is mapped
    assert all(
        torch.equal(a, b) for a, b in zip(model.parameters(), sn.load_package(path).model.parameters(), strict=True)
    )
    again = sn.load_package(path).model
    sn.save_package(path, again)
    assert path.read_bytes() != before
    sn.verify_package(path)


class Shifted(nn.Module):
    """Keeps its values in one way and saves them in another."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.arange(16.0))

    def _save_to_state_dict(self, destination, prefix, keep_vars) -> None:
        destination[prefix + "weight"] = self.weight.detach() + 1

    def _load_from_state_dict(self, state_dict, prefix, *rest) -> None:
        with torch.no_grad():
            self.weight.copy_(state_dict[prefix + "weight"]).sub_(1)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight


class Apart(nn.Module):
    """Two parameters in one memory, one laid out in another way, one with a hook that looks at what was loaded."""

    def __init__(self) -> None:
        super().__init__()
        self.both = nn.Parameter(torch.arange(32.0))
        self.part = nn.Parameter(self.both.data[16:])
        self.turned = nn.Parameter(torch.randn(4, 16).t())
        self.total = 0.0
        self.register_load_state_dict_post_hook(
            lambda module, _: setattr(module, "total", float(module.both.detach().sum()))
        )


def test_networks_that_keep_their_values_in_ways_of_their_own_are_loaded_by_copy(tmp_path: Path) -> None:
    sn.save_package(tmp_path / "a.zip", model := Shifted())
    assert torch.equal(sn.load_package(tmp_path / "a.zip", Shifted).model.weight, model.weight)
    sn.save_package(tmp_path / "b.zip", Apart())
    apart = sn.load_package(tmp_path / "b.zip", Apart).model
    assert apart.part.data_ptr() == apart.both.data_ptr() + 64
    assert apart.turned.stride() == (1, 16)
    assert apart.total == 31 * 16


@pytest.mark.parametrize("name", ["net.zip", "net"])
def test_what_changes_while_it_is_saved_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Written and hashed are two readings: of a file that somebody changes in between, or a network that is trained."""
    from scirs_neural.serialization import writing

    note = tmp_path / "note.bin"
    note.write_bytes(b"one")
    monkeypatch.setattr(writing, "_pieces", lambda path: iter([os.urandom(3)]))
    with pytest.raises(StorageError, match=r"exports/note.bin was changed while it was written"):
        sn.save_package(tmp_path / "out" / name, sn.create_model("mlp"), exports={"note.bin": note})
    assert list((tmp_path / "out").iterdir()) == []
