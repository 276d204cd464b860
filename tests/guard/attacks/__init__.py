"""Files that attack whoever opens them, made by code: the corpus of test_attacks.py and of benchmarks/attack_rivals.py.

Each family is a generator of (name, path) under a folder that it is given, all for one reader. Nothing here is
dangerous to make; what a file would do if it got its way is to leave ``CANARY`` in the current folder.
"""

from tests.guard.attacks import archives, packages, pictures, tensors, texts
from tests.guard.attacks.corpus import CANARY, FAMILIES, one, put, tensor_file
from tests.guard.attacks.onnx_graphs import graph
from tests.guard.attacks.pickles import calls_pickled

__all__ = [
    "CANARY", "FAMILIES", "archives", "calls_pickled", "graph", "one", "packages", "pictures", "put", "tensor_file",
    "tensors", "texts",
]  # fmt: skip
