"""``python -m pipelines.optimize``: solve one market model on one case, prove the answer, write schedule and page."""

from __future__ import annotations

from pipelines.app import Outcome, Run, command
from pipelines.stages import plan
from pipelines.stages.publish import dispatch_record, schedule_rows


def run(run: Run) -> Outcome:
    """Case in, certified schedule out."""
    from pipelines.report.optimize import optimize_page
    from pipelines.report.page import render
    from pipelines.stages.pages import network_view

    case = plan.configured_case(run.config)
    with run.phases.phase("solve", f"solving {case.market} on {case.name}"):
        schedule = plan.solve_case(case, run.config, run.seed)
    outcome = Outcome(record=dispatch_record(schedule))
    del outcome.record["seconds"]  # the phases of the run hold it, and the schedule's own are on the page
    if schedule.certificate.mip_gap is not None and schedule.gap is not None:
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


main = command("optimize", run)

if __name__ == "__main__":
    main()
