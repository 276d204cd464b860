"""Look at this machine and installation: ``python -m scirs_neural.doctor``."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires

from packaging.requirements import Requirement
from packaging.version import Version

from scirs_neural.core import terminal
from scirs_neural.core.arguments import Arguments
from scirs_neural.core.command import run_command
from scirs_neural.core.environment import cpu_name, environment, installed, num_cpus
from scirs_neural.core.paths import cache_dir, is_offline

FIRST_SAFE_PICKLE = "2.10"  # torch below it: CVE-2026-24747


@dataclass(frozen=True)
class Finding:
    """One thing looked at."""

    subject: str
    found: str
    is_well: bool = True
    fix: str = ""


def main(argv: list[str]) -> int | None:
    """Print what was found; end with status 1 if something is broken."""
    parser = Arguments("python -m scirs_neural.doctor", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    args = parser.parse_args(argv)
    findings = [finding for check in CHECKS for finding in check()]
    if args.json:
        print(json.dumps([vars(f) for f in findings], indent=2))
    else:
        rows = [
            ["ok" if f.is_well else "WRONG", f.subject, f.found + (f" -> {f.fix}" if f.fix else "")] for f in findings
        ]
        terminal.table(terminal.console(), ["", "what", "found"], rows)
    return 0 if all(f.is_well for f in findings) else 1


def check_packages() -> Iterator[Finding]:
    """Every core dependency is installed, in a version that this package asks for."""
    yield Finding("python", str(environment()["python"]))
    try:
        wanted = [Requirement(text) for text in requires("scirs-neural") or []]
    except PackageNotFoundError:
        yield Finding("scirs-neural", "not installed", False, "pip install -e . in the project's folder")
        return
    for need in (w for w in wanted if w.marker is None):
        have = installed(need.name)
        if have is None:
            yield Finding(need.name, "not installed", False, f"pip install '{need}'")
        else:
            fits = need.specifier.contains(have, prereleases=True)
            yield Finding(need.name, have, fits, "" if fits else f"pip install '{need}'")


def check_pair() -> Iterator[Finding]:
    """Torchvision was built for this torch: its own metadata says which one."""
    torch_version, vision = installed("torch"), installed("torchvision")
    if torch_version is None or vision is None:
        return
    asked = next((Requirement(r) for r in requires("torchvision") or [] if re.match(r"torch\b", r)), None)
    own_pair = asked is None or asked.specifier.contains(torch_version.partition("+")[0], prereleases=True)
    fix = "" if own_pair else f"pip install '{asked}', or another torchvision for torch {torch_version}"
    yield Finding("torch + torchvision", f"{torch_version} + {vision}", own_pair, fix)
    try:
        import torchvision  # noqa: F401 - whether it can be
    except (ImportError, RuntimeError) as error:
        fix = "install both from the same index: pip install --force-reinstall torch torchvision"
        yield Finding("import torchvision", str(error).splitlines()[0], False, fix)


def check_device() -> Iterator[Finding]:
    """What torch computes on, and with what."""
    import torch

    names = environment()["devices"]
    yield Finding("accelerator", ", ".join(names) if names else "none: everything runs on the CPU")
    kernels = "oneDNN on" if torch.backends.mkldnn.is_available() else "oneDNN off"
    yield Finding("CPU", f"{cpu_name()}; {torch.backends.cpu.get_cpu_capability()}; {kernels}")
    threads = torch.get_num_threads()
    load, waits_actively = os.getloadavg()[0], os.environ.get("OMP_WAIT_POLICY", "").upper() != "PASSIVE"
    busy = load > num_cpus() * 0.75 and threads > 1 and waits_actively
    advice = "the CPUs are busy: set OMP_WAIT_POLICY=PASSIVE, or threads that wait take them from those that work"
    yield Finding("threads", f"{threads} of {num_cpus()}, load {os.getloadavg()[0]:.1f}", True, advice if busy else "")
    if Version(torch.__version__) < Version(FIRST_SAFE_PICKLE):
        yield Finding("torch pickles", "refused: CVE-2026-24747", True, "use .safetensors files, or a newer torch")


def check_places() -> Iterator[Finding]:
    """Folders that are read and written."""
    for subject, path in (("runs are kept in", os.path.abspath("runs")), ("cache", str(cache_dir()))):
        parent = path
        while not os.path.exists(parent):
            parent = os.path.dirname(parent)
        ok = os.access(parent, os.W_OK)
        yield Finding(subject, path, ok, "" if ok else f"no permission to write to {parent}")
    online = "used for weights that are not in the cache; SCIRS_OFFLINE=1 forbids it"
    yield Finding("network", "not used: SCIRS_OFFLINE is set" if is_offline() else online)


CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (check_packages, check_pair, check_device, check_places)

if __name__ == "__main__":
    sys.exit(run_command(main))
