"""Settings that name columns and classes: what is typed is the name, whatever YAML and Hydra would make of it."""

import pytest
from PIL import Image

from scirs_neural.config.overrides import NAMED, NAMES, read_names
from scirs_neural.core.errors import ConfigError, ScirsError
from scirs_neural.data.create import create_data
from scirs_neural.data.registry import DATA
from scirs_neural.guard.text import yaml_text

ODD = ["inf", "nan", "null", "1e3", "1.50", "2020", "1_000", "0x10", "007", "true", "no", "2024-01-01", "größe", "a b",
       "m(kg)", "-", "x.y", "a/b", "a:b", "a, b", "it's"]  # fmt: skip
BASE = {
    "table": ["data=table", "data.path=t.csv", "model=mlp"],
    "text": ["data=text", "data.path=t.csv", "model=bag_of_embeddings"],
    "mask_folder": ["data=mask_folder", "data.root=pictures", "model=unet"],
}
SETTINGS = {
    "data.target": ("table", "one"), "data.leave_out": ("table", "list"), "data.columns": ("table", "keys"),
    "data.weight": ("table", "one"), "data.unit": ("table", "one"), "data.id": ("table", "one"),
    "data.group_by": ("table", "one"), "data.text": ("text", "one"), "data.classes": ("mask_folder", "list"),
    "task.class_weights": ("table", "keys"),
}  # fmt: skip
OTHER = {"path", "root", "target_kind", "missing", "categories", "tokenizer", "vocab_size", "max_length"}


def test_every_setting_of_names_is_known():
    """An option that is added must be put among the names, or among the others here."""
    options = {option for name in DATA.names() if name in BASE or name == "csv" for option in DATA.entry(name).options}
    assert {f"data.{option}" for option in options - OTHER} == NAMES - {"data.group_by"}
    assert set(SETTINGS) == NAMES | NAMED


def typed(form: str, name: str, quoted: bool) -> str:
    text = "'" + name.replace("'", r"\'") + "'" if quoted else name
    return {"one": text, "list": f"[first,{text}]", "keys": f"{{{text}:2,b:3}}"}[form]


def wanted(setting: str, form: str, name: str) -> object:
    value = 2 if setting in NAMED else "2"
    return {"one": name, "list": ["first", name], "keys": {name: value, "b": type(value)(3)}}[form]


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("name", ODD)
def test_a_name_is_taken_as_typed(setting, name):
    form = SETTINGS[setting][1]
    if not set(name) & set("',"):
        if name == "null" and form == "one" and setting not in ("data.target", "data.text"):
            assert read_names(setting, name) is None  # nothing, as everywhere
        elif ":" not in name or form != "keys":
            assert read_names(setting, typed(form, name, False)) == wanted(setting, form, name)
    assert read_names(setting, typed(form, name, True)) == wanted(setting, form, name)


@pytest.mark.parametrize("data", BASE)
def test_names_reach_the_configuration_and_the_file_that_is_kept_of_it(compose, home, data):
    for name in ODD:
        settings = {key: form for key, (of, form) in SETTINGS.items() if of == data}
        if name == "a:b":
            settings.pop("task.class_weights", None)  # looks like code, which a file may not name
        texts = [f"{setting}={typed(form, name, True)}" for setting, form in settings.items()]
        config = compose(*BASE[data], *texts)
        (home / "config.yaml").write_text(yaml_text(config.model_dump(mode="json")))
        for found in (config.model_dump(), compose(config_file=home / "config.yaml").model_dump()):
            for setting, form in settings.items():
                section, option = setting.split(".")
                assert found[section][option] == wanted(setting, form, name)


def test_what_is_typed_later_holds(compose):
    table = [*BASE["table"], "data.target=y"]
    assert compose(*table, "data.weight=w", "data.weight=null").data.weight is None
    assert compose(*table, "data.weight=null", "data.weight=w").data.weight == "w"
    assert compose(*table, "data.columns={a:number}", "data.columns={b:date}").data.columns == {"b": "date"}


def test_a_table_with_such_names_is_read(home):
    names = ["inf", "null", "1e3", "2020"]
    rows = "".join(f"{i}.5,{i % 7},{i % 5},{i % 3},{i % 2}\n" for i in range(40))
    (home / "t.csv").write_text(",".join([*names, "y"]) + "\n" + rows)
    for left in names:
        data = create_data("table", path="t.csv", target="y", leave_out=[left])
        assert data.pipeline.inputs["row"].names == [name for name in names if name != left]
    data = create_data("table", path="t.csv", target="2020", columns={"1e3": "category"}, target_kind="class")
    assert data.spec.target["column"] == "2020"


@pytest.mark.parametrize("wrong", [None, 1000.0, True, float("inf")])
@pytest.mark.parametrize(
    ("data", "option", "form"),
    [
        ("table", "target", "one"), ("table", "target", "list"), ("table", "leave_out", "list"),
        ("table", "weight", "one"), ("table", "columns", "keys"), ("text", "target", "list"), ("text", "text", "one"),
        ("mask_folder", "classes", "list"),
    ],
)  # fmt: skip
def test_a_name_in_yaml_that_is_no_text_is_refused_and_says_how_it_is_quoted(home, data, option, form, wrong):
    (home / "t.csv").write_text("a,y\n" + "1,x\n2,z\n" * 20)
    for folder in ("pictures/images", "pictures/masks"):
        (home / folder).mkdir(parents=True)
    given = {"one": wrong, "list": ["a", wrong], "keys": {wrong: "number"}}[form]
    if given is None:
        return  # nothing, or the default
    for folder in ("images", "masks"):
        Image.new("L", (8, 8)).save(home / "pictures" / folder / "1.png")
    settings = {"root": "pictures"} if data == "mask_folder" else {"path": "t.csv"}
    settings |= {"target": "y"} if data == "table" else {}
    with pytest.raises(ConfigError, match=rf"(?s)data\.{option} has .* as a name.*quote it"):
        create_data(data, **settings | {option: given})


@pytest.mark.parametrize("key", ["data.leave_out", "data.columns", "task.class_weights"])
@pytest.mark.parametrize("value", ["[a,,b]", "{a:}", "[a", "{a:[}", "{,}", "'a"])
def test_what_is_no_list_of_names_is_an_error_of_ours(compose, key, value):
    with pytest.raises(ScirsError):
        compose(*BASE["table"], "data.target=y", f"{key}={value}")
