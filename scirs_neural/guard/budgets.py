"""The one table of what a file may cost: every reader of this package takes its limits from here.

A limit stands well above what honest files need and well below what hurts a machine. Refusing an attack stays under a
second and 200 MB with these numbers (tests/guard/test_attacks.py measures it).
"""

from __future__ import annotations

from dataclasses import dataclass

KIB, MIB, GIB = 2**10, 2**20, 2**30


@dataclass(frozen=True)
class Budgets:
    """Limits on files that come in.

    Example:
        >>> BUDGETS.yaml_bytes
        1048576
    """

    json_bytes: int = 16 * MIB  # a tokenizer of 250,000 words has about 15 MB
    json_nodes: int = 1_000_000  # counted before parsing, by the marks that can begin one
    yaml_bytes: int = 1 * MIB  # the largest shipped configuration has 5 kB
    yaml_nodes: int = 20_000  # after aliases: what the reader hands on; a run's configuration has 400
    depth: int = 64  # of nested lists and mappings
    text_bytes: int = 16 * MIB  # of a plain text, such as metrics.csv
    header_bytes: int = 16 * MIB  # of safetensors: 100,000 tensors need about 10 MB
    tensors: int = 120_000  # in one file
    dimensions: int = 64  # of one tensor
    archive_bytes: int = 1024 * GIB  # of a package or checkpoint, as it lies on the disk
    members: int = 10_000  # of an archive; torch writes one a tensor
    torch_members: int = 40_000  # of a torch file, which has one a tensor
    name_bytes: int = 1024  # of a member's path
    name_parts: int = 16  # of a member's path
    inflated_bytes: int = 64 * MIB  # of all compressed members together, unpacked: weights are stored, not compressed
    ratio: int = 200  # unpacked to compressed bytes of a member
    read_bytes: int = 64 * MIB  # of a member that is read into memory at once
    table_bytes: int = 64 * GIB  # of a table file
    table_columns: int = 20_000  # of a table
    table_cell: int = 131_072  # bytes of one value: the limit of Python's csv
    table_cells_free: int = 20_000_000  # values of a Parquet file, below which its ratio is not asked for
    array_bytes: int = 1 * GIB  # of an .npz of predictions
    pickle_bytes: int = 64 * MIB  # of the part of a torch file that is a pickle; its tensors lie beside it
    pickle_steps: int = 300_000  # to read one pickle, and one for each 4 bytes beside it: a tensor has about 60
    values: int = 2_000_000  # in a checkpoint, those that stand in it several times counted each time
    pixels: int = 67_108_864  # of an image in RGB, 192 MiB; with an alpha channel each counts 4/3; SCIRS_MAX_PIXELS
    image_side: int = 100_000  # pixels: scaling a strip costs its length
    image_bytes: int = 256 * MIB  # of an image file
    onnx_bytes: int = 2 * GIB  # of an ONNX graph: protobuf's own limit
    refusal_sec: float = 1.0  # CPU time until an attack is refused
    refusal_mib: int = 200  # memory until an attack is refused


BUDGETS = Budgets()
