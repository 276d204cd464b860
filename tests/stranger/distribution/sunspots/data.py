"""Sunspots of each year from 1700 on, from statsmodels: the count of a year from those of the years before."""

from __future__ import annotations

import numpy as np

from scirs_neural.data import DataSource
from scirs_neural.data.samples import ArraySamples


def sunspots(years: int = 11) -> DataSource:
    """Windows of so many years, each with the next one's count."""
    from statsmodels.datasets import sunspots as source

    counts = source.load_pandas().data["SUNACTIVITY"].to_numpy()
    windows = np.lib.stride_tricks.sliding_window_view(counts, years + 1)
    decade = [str(1700 + years + place)[:3] for place in range(len(windows))]
    samples = ArraySamples(
        {"series": windows[:, :-1].astype(np.float32), "count": windows[:, -1].copy()}, columns={"decade": decade}
    )
    return DataSource(
        "sunspots", samples, {"series": {"kind": "series", "length": years}}, {"count": {"kind": "count"}},
        description="sunspots of each year, 1700 to 2008", licence="public domain",
    )  # fmt: skip
