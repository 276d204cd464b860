"""Row 103: checkpoints that each rank writes its part of, and that any number of ranks goes on from.

That parts are put together rightly, or refused, is in tests/guard/test_shards.py.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import scirs_neural as sn
from scirs_neural.core.errors import CheckpointError, ConfigError
from scirs_neural.training.checkpoint_io import write_checkpoint
from scirs_neural.training.distributed.sharded import ShardedStrategy
from tests.training.test_ranks import SHORT, Job, assert_equal, assert_whole, compared
from tests.training.tiny import TINY


@pytest.mark.slow
@pytest.mark.feature(103)
@pytest.mark.parametrize(
    "kinds",
    [
        ("shards", "shards", "full"), ("shards", "shards_of_both"), ("shards_of_both", "alone"), ("alone", "shards"),
        ("tensor", "shards"), ("fsdp2", "alone"), ("fsdp2", "both"), ("plain", "plain"),
    ],
    ids="-from-".join,
)  # fmt: skip
def test_a_run_goes_on_with_other_ranks_than_it_began_with(python: Any, kinds: tuple[str, ...]) -> None:
    found = compared(python, *kinds)
    assert_equal(found)
    last = [file.split("/")[2:] for file in found["files"] if file.startswith("checkpoints/last.ckpt.shards/")]
    ranks = {"shards": 2, "shards_of_both": 4}.get(kinds[0], 0)
    assert len(last) == ranks, "shards of an older checkpoint were left"
    assert len({folder for folder, _ in last}) == min(ranks, 1)


@pytest.mark.slow
@pytest.mark.feature(103)
@pytest.mark.parametrize(
    "settings",
    [
        (*TINY, "trainer.strategy=fsdp2", "trainer.checkpoint.sharded=true"),
        (
            "model=mlp", "data=digits", "data.image_size=8", "trainer.tensor_parallel=2",
            "trainer.tensor_parallel_colwise=[hidden1.0]", "trainer.tensor_parallel_rowwise=[hidden2.0]",
        ),
    ],
    ids=["fsdp2 in shards", "tensor parallel"],
)  # fmt: skip
def test_the_command_leaves_a_run_like_any_other(tmp_path: Path, settings: tuple[str, ...]) -> None:
    own = (*settings, "trainer.devices=2", "trainer.accelerator=cpu")
    status, said = Job("scirs_neural.train", *own, *SHORT, f"paths.runs={tmp_path}").end()
    assert status == 0, said
    (folder,) = tmp_path.glob("digits-*/*")
    assert_whole(folder)
    has_shards = any((folder / "checkpoints").glob("best.ckpt.shards/*/*.safetensors"))
    assert has_shards == ("trainer.checkpoint.sharded=true" in settings)
    status, said = Job("scirs_neural.evaluate", str(folder), "--json").end()
    assert status == 0, said
    trained = json.loads((folder / "summary.json").read_text())["test"]["accuracy"]
    judged = json.loads(said[said.index("{") : said.rindex("}") + 1])["metrics"]["accuracy"]["value"]
    assert judged == pytest.approx(trained, abs=1e-6)
    status, said = Job("scirs_neural.package", str(folder), "--out", str(tmp_path / "digits.zip")).end()
    assert status == 0, said


def test_a_changed_bit_is_noticed_before_anything_is_loaded(tmp_path: Path) -> None:
    last = tmp_path / "last.ckpt"
    write_checkpoint({"loops": {}, "state_dict": {"weight": torch.ones(100)}}, last)
    content = bytearray(last.read_bytes())
    content[content.index(torch.ones(100).numpy().tobytes())] ^= 1
    last.write_bytes(content)
    with pytest.raises(CheckpointError, match="refused"):
        ShardedStrategy(2, 1, sharded=False, form="auto").load_checkpoint(last)


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"strategy": "ddp"}, "means nothing where every process"), ({"strategy": "fsdp2"}, "does not go with")],
)
def test_settings_that_do_not_go_together_are_refused_at_once(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        sn.Trainer(accelerator="cpu", devices=2, checkpoint={"sharded": True, "async_save": True}, **settings)
