"""``python -m pipelines.optimize``: solve one market model on one case, prove the answer, write schedule and page."""

from __future__ import annotations

from typing import Any

from dispatch.schedule import Schedule
from pipelines.app import Outcome, Run, command
from pipelines.stages import plan
from pipelines.stages.publish import dispatch_record, schedule_rows


def run(run: Run) -> Outcome:
    """Case in, certified schedule out; a time limit gives the best found with its proven gap, marked degraded."""
    from pipelines.report.optimize import optimize_page
    from pipelines.report.page import render
    from pipelines.stages.pages import network_view

    case = plan.configured_case(run.config)
    with run.phases.phase("solve", f"solving {case.market} on {case.name}"):
        schedule, unproven = plan.solve_or_best(case, run.config, run.seed, run.config["largest_gap"])
    outcome = Outcome(record={**dispatch_record(schedule), "figures": _figures(schedule)})
    del outcome.record["seconds"]  # the phases of the run hold it, and the schedule's own are on the page
    if run.config.get("published"):
        outcome.record["published"] = run.config["published"]
    if unproven:
        outcome.degrade(unproven)
    elif schedule.certificate.mip_gap is not None and schedule.gap is not None:
        limit = float(run.config["solver"]["gap"])
        if schedule.gap > limit:
            outcome.degrade(f"the proven gap is {schedule.gap:.1e}, above the {limit:.0e} asked for")
    with run.phases.phase("report", "writing the files and the page"):
        summary = {**run.provenance(), "status": outcome.status, "reasons": outcome.reasons}
        page = optimize_page(schedule, {**summary, **outcome.record}, **network_view(case, schedule))
        run.folder.frame("schedule.parquet", schedule_rows(schedule))
        run.folder.text("report.html", render(page))
    outcome.headline = str(schedule)
    return outcome


def _figures(schedule: Schedule) -> dict[str, Any]:
    """Figures of the whole horizon: the columns of every further table of a single row."""
    single = [table for table in schedule.extras.values() if len(table) == 1]
    return {str(name): value for table in single for name, value in table.iloc[0].to_dict().items()}


main = command("optimize", run)

if __name__ == "__main__":
    main()
