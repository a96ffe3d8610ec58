"""A picture of the results: how many times the bare driver's time each subject takes."""

from __future__ import annotations

from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING

import matplotlib

if TYPE_CHECKING:
    from compare import Result

matplotlib.use("Agg")

COLOURS = {
    "ferro": "#c1440e",
    "sqlalchemy": "#7a8fa6",
    "tortoise": "#a3b18a",
    "piccolo": "#cdb4db",
    "ferro_orm": "#d9c58b",
}


def draw(results: list[Result], path: Path) -> Path:
    """A panel for each database, a group of bars for each case; lower is better."""
    from matplotlib import pyplot

    backends = list(dict.fromkeys(it.backend for it in results))
    figure, axes = pyplot.subplots(
        len(backends), 1, figsize=(13, 5 * len(backends)), squeeze=False, layout="constrained"
    )
    for axis, backend in zip(axes[:, 0], backends, strict=True):
        here = [it for it in results if it.backend == backend]
        cases = list(dict.fromkeys(it.case for it in here))
        subjects = [it for it in COLOURS if any(result.subject == it for result in here)]
        width = 0.8 / len(subjects)
        for number, subject in enumerate(subjects):
            ratios = [it.ratio for it in here if it.subject == subject]
            places = [place + number * width for place in range(len(cases))]
            bars = axis.bar(places, ratios, width, label=subject, color=COLOURS[subject])
            axis.bar_label(bars, fmt="%.1f", fontsize=7)
        driver = here[0].versus
        axis.axhline(1, color="black", linewidth=0.8)
        middle = 0.4 - width / 2
        axis.set_xticks([place + middle for place in range(len(cases))])
        axis.set_xticklabels([fill(case, 16) for case in cases], fontsize=8)
        axis.set_ylabel(f"times {driver}")
        axis.set_title(f"{backend}: medians over {driver}; lower is better")
        axis.legend()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
    return path
