"""The portable package format (docs/format.md), and conversion between formats."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scirs_neural.core.lazy import lazy

if TYPE_CHECKING:
    from scirs_neural.serialization.package import Package as Package
    from scirs_neural.serialization.package import PackageFacts as PackageFacts
    from scirs_neural.serialization.package import inspect_package as inspect_package
    from scirs_neural.serialization.package import load_package as load_package
    from scirs_neural.serialization.package import migrate_package as migrate_package
    from scirs_neural.serialization.package import save_package as save_package
    from scirs_neural.serialization.package import verify_package as verify_package

lazy(globals())
