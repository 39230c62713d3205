"""The nightly page says what the plan says, and says when something is wrong."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from dispatch.certificate import Certificate
from dispatch.network.feeder import load_feeder
from pipelines.report.nightly import MOST_FANS, nightly_page
from pipelines.report.page import Page, Section, render
from pipelines.report.words import money, number
from tests.pipelines.report_fixtures import ASSETS, ZONE_TIME, delivery_index, forecast, night_page, schedule, summary
from tests.pipelines.test_report_page import Document


def section(page: Page, title: str) -> Section:
    return next(item for item in page.sections if item.title == title)


def test_the_headlines_are_the_plan() -> None:
    plan = schedule(delivery_index())
    shown = {item.name: item for item in night_page().headlines}
    assert " ".join((shown["Profit"].value, shown["Profit"].unit)) == money(plan.objective, "USD")
    assert shown["Plan"].value == "Certified"
    assert shown["Mean spot price"].value == number(float(plan.wide("spot_price_per_mwh").to_numpy().mean()))
    wind = plan.table.query("kind == 'wind'").groupby("quantity")["value"].sum()
    assert shown["Wind energy"].value == number(float(wind["power_mw"]))
    assert shown["Wind energy"].note == f"{number(float(wind['available_mw'] - wind['power_mw']))} MWh curtailed"
    lowest = plan.table.query("quantity == 'voltage_pu'").sort_values("value").iloc[0]
    assert shown["Lowest voltage"].value == number(float(lowest["value"]), 5)
    assert shown["Lowest voltage"].note == "bus 18" == f"bus {lowest['asset'].removeprefix('bus')}"


def test_the_sections_follow_the_chain_from_forecast_to_provenance() -> None:
    assert [item.title for item in night_page().sections] == [
        "Forecast", "Inputs", "Dispatch", "Storage", "Subsidies and response", "Network", "Money", "Certificate", "Provenance",
    ]  # fmt: skip


def test_a_fallback_input_is_named_in_words_and_colour() -> None:
    inputs = section(night_page(), "Inputs")
    assert "wind forecast DK_1" in inputs.lead
    cells = [row[1] for row in inputs.tables[0].rows]
    assert [(cell.text, cell.tone) for cell in cells if cell.text == "fallback"] == [("fallback", "warn")]
    assert "26 Jun 2024 11:00 CEST" in [row[2] for row in inputs.tables[0].rows]


def test_a_plan_that_fails_its_certificate_is_never_called_good() -> None:
    failing = Certificate(balance_max=1e-9, mip_gap=0.02, best_response_gap=float("nan"))
    index = delivery_index()
    page = nightly_page({}, {}, schedule(index, certificate=failing), load_feeder("ieee33"), summary(), ZONE_TIME)
    text = Document(render(page)).text
    assert page.headlines[0].value == "Not certified"
    assert "2 of 3 checks failed (best response, proven best): this plan must not be used" in text
    assert "every check passed" not in text
    verdicts = {row[0]: row[1] for row in section(page, "Certificate").tables[0].rows}
    assert verdicts["Proven best"].text == "FAILED"
    assert verdicts["Balance and limits"].text == "passed"
    assert verdicts["Replay: voltages"] == "does not apply"


def test_every_figure_of_the_certificate_has_its_words() -> None:
    rows = section(night_page(), "Certificate").tables[0].rows
    assert len(rows) == len(Certificate().as_dict()) - 3, "all fields but the verdict, the failures and the notes"
    assert all(len(str(row[4]).split()) > 5 for row in rows)


def test_money_items_add_up_to_the_objective() -> None:
    plan = schedule(delivery_index())
    money_part = section(night_page(), "Money")
    assert money(plan.objective, "USD") in money_part.lead
    assert ["operator", "total", money(plan.objective, "USD")] in [list(row) for row in money_part.tables[0].rows]


def test_only_the_simulated_series_are_called_so() -> None:
    index = delivery_index()
    made = {"price": forecast(index), "local wind": forecast(index, "wind", "site_1", simulated=True)}
    page = nightly_page(made, {}, schedule(index), None, summary(), ZONE_TIME)
    assert page.banners == ["This page shows simulated data in part: local wind. The other series are real."]


def test_many_sites_are_listed_and_the_first_are_drawn() -> None:
    index = delivery_index()
    made = {f"site_{k}": forecast(index, "wind", f"site_{k}", seed=k) for k in range(50)}
    part = section(nightly_page(made, {}, schedule(index), None, summary(), ZONE_TIME), "Forecast")
    assert len(part.figures) == MOST_FANS
    assert len(part.tables[0].rows) == 50
    assert "42 more" in part.lead


def test_a_market_without_a_feeder_has_no_network_section() -> None:
    plan = schedule(delivery_index())
    plan = replace(plan, table=plan.table.query("kind not in ('bus', 'line')"))
    page = nightly_page({}, {}, plan, None, summary(), ZONE_TIME)
    assert "Network" not in [item.title for item in page.sections]
    render(page)


@pytest.mark.parametrize(("day", "minutes"), [("2024-03-31", 60), ("2024-10-27", 15)])
def test_days_of_any_length_are_drawn_without_a_gap(day: str, minutes: int) -> None:
    page = night_page(day, minutes)
    assert sum(len(item.figures) for item in page.sections) == 13
    html = render(page)
    assert not re.search(r"\b(nan|n/a)\b", Document(html).text, re.IGNORECASE)
    assert not any("NaN" in chart.svg for item in page.sections for chart in item.figures)


def test_an_empty_known_frame_and_negative_prices_are_drawn() -> None:
    index = delivery_index()
    made = forecast(index)
    made = replace(made, mean=made.mean - 80, quantiles=made.quantiles - 80)
    page = nightly_page(
        {"price": made}, {}, schedule(index), load_feeder("ieee33"), summary(), ZONE_TIME, assets=ASSETS
    )
    assert "Mean \N{MINUS SIGN}" in section(page, "Forecast").figures[0].caption


def test_the_summary_is_traced_on_the_page() -> None:
    rows = {
        row[0]: row[1]
        for row in section(night_page(run_id="2024-06-27-a1", data_vintage="2024-06-26"), "Provenance").tables[0].rows
    }
    assert rows["Run"] == "2024-06-27-a1"
    assert rows["Configuration fingerprint"] == "9f3ab1c2d4e5"
    assert rows["Seed"] == "0"
    assert rows["Decided as of"] == "26 Jun 2024 11:30 CEST"
    assert "dispatch 2.00" in rows["Seconds by phase"]
    assert np.isfinite(float(rows["Proven bound and gap"].split(", ")[-1]))
