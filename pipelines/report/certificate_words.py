"""The certificate in plain words: what was checked, how far off it may be, and how far off it is."""

from __future__ import annotations

from dataclasses import fields

from dispatch.certificate import Certificate
from pipelines.report.page import Cell, Headline, Table
from pipelines.report.words import number

#: Field of the certificate to (short name, what it proves in words).
CHECKS: dict[str, tuple[str, str]] = {
    "balance_max": (
        "Balance and limits",
        "At every bus and step what flows in flows out, and no limit of the network or a plant is crossed",
    ),
    "best_response_gap": (
        "Best response",
        "No customer, asked again alone at the prices offered, could do better than planned",
    ),
    "duality_gap": (
        "Followers' optimality",
        "The followers' cost equals the lower bound that proves it cannot be less",
    ),
    "objective_identity": (
        "Money multiplied out",
        "Each price times its quantity adds up to the amount the solver maximised",
    ),
    "cone_gap": (
        "Physical currents",
        "Line currents and voltages belong to a real power flow; no power is burnt on paper",
    ),
    "dual_bound_ratio": (
        "No cut-off answer",
        "No internal bound touched the answer, so none can have hidden a better one",
    ),
    "mip_gap": ("Proven best", "No other plan can be better by more than this share of the objective"),
    "ac_voltage_error_pu": (
        "Replay: voltages",
        "An independent AC power flow at the planned set-points finds the same voltages, p.u.",
    ),
    "ac_loss_error_mw": (
        "Replay: losses",
        "An independent AC power flow at the planned set-points finds the same losses, MW",
    ),
    "tie_width": (
        "Ties",
        "Money the leader loses if followers that do not care choose against it; reported, not judged",
    ),
}


def certificate_table(certificate: Certificate) -> Table:
    """Check, verdict, figure, largest figure allowed and meaning, a row per field of the certificate."""
    rows: list[list[str | Cell]] = []
    for item in fields(certificate):
        if item.name not in CHECKS:
            continue
        name, meaning = CHECKS[item.name]
        value = getattr(certificate, item.name)
        limit = certificate.tolerances.get(item.name)
        if value is None:
            verdict: str | Cell = "does not apply"
        elif limit is None:
            verdict = "reported"
        elif item.name in certificate.failures:
            verdict = Cell("FAILED", "bad")
        else:
            verdict = Cell("passed", "good")
        figure = "–" if value is None else number(float(value))
        rows.append([name, verdict, figure, "–" if limit is None else f"{limit:g}", meaning])
    return Table(
        "Certificate: figures are relative unless a unit is given",
        ("Check", "Verdict", "Figure", "At most", "What it proves"),
        rows,
        numeric=(2, 3),
    )


def certificate_lead(certificate: Certificate) -> str:
    """One sentence with the verdict."""
    judged = [name for name in certificate.tolerances if getattr(certificate, name) is not None]
    if certificate.passed:
        return f"All {len(judged)} checks that apply to this plan passed."
    if not judged:
        return "Nothing was checked, so this plan is not certified."
    failed = ", ".join(CHECKS[name][0].lower() if name in CHECKS else name for name in certificate.failures)
    return f"{len(certificate.failures)} of {len(judged)} checks failed ({failed}): this plan must not be used."


def certificate_headline(certificate: Certificate) -> Headline:
    """Certified or not, for the top of the page."""
    judged = sum(getattr(certificate, name) is not None for name in certificate.tolerances)
    if certificate.passed:
        return Headline("Plan", "Certified", "", f"all {judged} checks passed", "good")
    return Headline("Plan", "Not certified", "", f"{len(certificate.failures)} of {judged} checks failed", "bad")
