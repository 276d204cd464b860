"""Fuzzing of what parses files of others, by hand: ``python tests/guard/fuzz.py header --runs 1000000``.

atheris (libFuzzer's coverage-guided mutations, ``pip install atheris``) feeds one parser. Whatever comes, a parser may
give a value or raise our typed error; anything else ends the run, and the input goes to ``tests/guard/found/``, where
``test_fuzz.py`` tries it at every landing. That test also runs the same parsers on hypothesis's inputs.
"""

from __future__ import annotations

import argparse
import io
import json
import struct
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

FOUND = Path(__file__).parent / "found"
HERE = "fuzzed"


def header(data: bytes) -> None:
    """A safetensors file; and what is no such file, as the header of one, behind its right length."""
    from scirs_neural.guard.tensors import read_header

    wrapped = b"" if data[8:9] == b"{" else struct.pack("<Q", len(data))
    read_header(wrapped + data, where=HERE)


def archive(data: bytes) -> None:
    """A zip, with every member read."""
    from scirs_neural.guard.zip_index import read_index, read_member

    file = io.BytesIO(data)
    for member in read_index(file, HERE).values():
        for _ in read_member(file, member, HERE):
            pass


def manifest(data: bytes) -> None:
    """A package's manifest, as far as its types."""
    from scirs_neural.guard.text import read_json
    from scirs_neural.serialization.manifest import check_seal, version_of
    from scirs_neural.serialization.schema import MANIFEST, check

    plain = read_json(data, where=HERE)
    if version_of(plain, HERE) == 1:
        check(MANIFEST, plain, HERE)
        check_seal(data, plain, HERE)


def config(data: bytes) -> None:
    """A saved configuration, or any YAML."""
    from scirs_neural.guard.text import read_yaml

    read_yaml(data, where=HERE)


def pickled(data: bytes) -> None:
    """The pickle in a torch file, judged and not run."""
    from scirs_neural.guard.pickles import scan

    scan(io.BytesIO(data), HERE)


def table(data: bytes) -> None:
    """A table file, told by its first bytes, and what its columns hold."""
    from scirs_neural.data.table.kinds import read_column
    from scirs_neural.data.table.read import read_table

    suffix = {b"PAR1": "parquet", b'{"a"': "jsonl"}.get(data[:4], "csv")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"fuzzed.{suffix}"
        path.write_bytes(data)
        read = read_table(path)
        list(read.rows())
        for name in read.columns:
            read_column(read, name)


TARGETS: dict[str, Callable[[bytes], None]] = {
    "header": header, "archive": archive, "manifest": manifest, "config": config, "pickled": pickled,
    "table": table,
}  # fmt: skip


def run(target: str, data: bytes) -> bool:
    """Whether a parser took an input; a typed error counts as no, everything else is raised."""
    from scirs_neural.core.errors import CheckpointError, DataError

    try:
        TARGETS[target](data)
    except (CheckpointError, DataError) as error:
        if not error.what or len(error.render().splitlines()) > 6:
            raise AssertionError(f"no good error: {error.render()}") from error
        return False
    return True


def seeds(target: str) -> list[bytes]:
    """Small honest files, from which mutations start."""
    import pickle
    from collections import Counter, OrderedDict

    if target == "header":
        made = [
            {"w": {"dtype": "F32", "shape": [2, 1], "data_offsets": [0, 8]}, "__metadata__": {"a": "b"}},
            {"b": {"dtype": "BF16", "shape": [], "data_offsets": [0, 2]},
             "a": {"dtype": "U8", "shape": [0], "data_offsets": [2, 2]}},
        ]  # fmt: skip
        texts = [json.dumps(one).encode() for one in made]
        return [struct.pack("<Q", len(text)) + text + bytes(size) for text, size in zip(texts, (8, 2), strict=True)]
    if target == "archive":
        found = []
        for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            file = io.BytesIO()
            with zipfile.ZipFile(file, "w", method) as made_zip:
                made_zip.writestr("a.json", "{}" * 9)
                with made_zip.open("b/c.bin", "w", force_zip64=True) as member:
                    member.write(b"xyz")
            found.append(file.getvalue())
        return found
    if target == "manifest":
        blank = "0" * 64
        plain = {
            "format": "scirs-neural-package", "version": 1, "name": "n", "task": None,
            "created": "2026-01-01T00:00:00Z",
            "libraries": {"torch": "2.15.0"}, "git_commit": None, "licences": {}, "data": None, "migrated_from": None,
            "members": {"model.json": {"size": 3, "sha256": blank, "crc32": "0" * 8}}, "digest": blank,
        }  # fmt: skip
        return [
            json.dumps(plain).encode(),
            json.dumps({**plain, "data": {"name": "digits", "sizes": {"a": 1}}}).encode(),
        ]
    if target == "config":
        return [
            b"model: {name: resnet18, options: [1, 0x1F, 1e-3, 1:30]}\nseed: 0\n",
            b"a: &x [1, ~, 'y']\nb: *x\nc: {<<: {d: .5}, e: |\n  text\n}\n? k\n: v\n",
        ]
    if target == "table":
        import pyarrow as pa
        from pyarrow import parquet

        file = io.BytesIO()
        parquet.write_table(pa.table({"a": [1, None], "b": ["x", "y"]}), file)
        return [
            file.getvalue(),
            b'a,b,c\n1,x,2026-11-29\n"2,5",NA,31.12.2026\n',
            b"a;b;c\n1,5;yes;007\n;no;1e9\n",
            b'{"a": 1, "b": "x"}\n{"a": null, "b": "1,234.5"}\n',
        ]
    plain_data = OrderedDict(a=[1, 2.5, (None, True)], b=b"xy", c={1 << 70}, d=bytearray(b"z"))
    others = {"args": argparse.Namespace(lr=0.1), (1, 2): Counter("aab"), "z": 1j, "again": plain_data}
    return [pickle.dumps(one, protocol=2) for one in (plain_data, others)]


def main() -> None:
    """Fuzz one target until its runs are done or something is found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=sorted(TARGETS))
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--max-len", type=int, default=600)
    options = parser.parse_args()
    import atheris

    with atheris.instrument_imports(include=["scirs_neural.guard", "scirs_neural.serialization.manifest"]):
        for seed in seeds(options.target):
            run(options.target, seed)  # imports what it needs
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(seeds(options.target)):
            Path(corpus, str(number)).write_bytes(seed)
        FOUND.mkdir(exist_ok=True)
        flags = [
            f"-runs={options.runs}", f"-seed={options.seed}", f"-max_len={options.max_len}", "-timeout=5",
            "-rss_limit_mb=2048", f"-artifact_prefix={FOUND}/{options.target}-", corpus,
        ]  # fmt: skip
        atheris.Setup([sys.argv[0], *flags], lambda data: run(options.target, data))
        atheris.Fuzz()


if __name__ == "__main__":
    main()
