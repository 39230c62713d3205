"""Sections of a page for the further tables of a schedule: convergence, gains against a baseline, anything else."""

from __future__ import annotations

from collections.abc import Mapping

from dispatch.schedule import Schedule
from pipelines.report.charts import bars, convergence
from pipelines.report.page import Section
from pipelines.report.tables import frame_table
from pipelines.report.words import plain, sentence

#: Names of first columns that make a further table a convergence record.
PROGRESS_COLUMNS = ("round", "iteration", "generation", "call", "calls", "step", "seconds")


def extra_sections(schedule: Schedule) -> list[Section]:
    """Convergence and gains of parties as charts, any other further table as a table."""
    sections = []
    for name, frame in schedule.extras.items():
        title = sentence(plain(name))
        numeric = frame.select_dtypes("number")
        first = str(frame.columns[0]) if len(frame.columns) else ""
        charts = []
        if first in PROGRESS_COLUMNS and len(numeric.columns) > 1 and len(frame) > 1:
            charts = [convergence(frame[[first, *(c for c in numeric.columns if c != first)]], title)]
        lead = ""
        if {"party", "gain"} <= set(frame.columns):
            gains = {str(party): float(gain) for party, gain in zip(frame["party"], frame["gain"], strict=True)}
            charts, lead = [bars(gains, f"Gain {plain(name)}", f"gain, {schedule.currency}")], losers_of(gains)
        sections.append(Section(title, lead, charts, [frame_table(title, frame, schedule.currency)]))
    return sections


def losers_of(gains: Mapping[str, float]) -> str:
    """Who is worse off than in the baseline, in one sentence."""
    losers = [plain(party) for party, gain in gains.items() if gain < -0.005]
    if not losers:
        return "No party is worse off than in the baseline."
    return f"Worse off than in the baseline: {', '.join(losers)}."
