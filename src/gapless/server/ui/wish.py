"""What the form of a new backfill shows at first: as the address says it, or a template."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from gapless.core.job import Kind
from gapless.store.templates import Template


def is_fill(one: Template, listed: list[dict[str, Any]]) -> bool:
    """Whether a template can fill the form in: it fetches, and names a dataset that can be fetched."""
    return one.kind == Kind.COLLECT and one.settings.get("dataset") in {each["name"] for each in listed}


def words_of(one: Template, today: datetime) -> dict[str, str]:
    """A template as the address of the form would say it; days count back from today."""
    told = {name: str(value) for name, value in one.settings.items() if name not in ("series", "days", "params")}
    told["series"] = ",".join(one.settings.get("series", ()))
    if "days" in one.settings:
        told["start"] = (today - timedelta(days=float(one.settings["days"]))).date().isoformat()
    return told


def chosen(asked: dict[str, str], listed: list[dict[str, Any]], today: datetime) -> dict[str, str]:
    """What the form shows at first: what the address says, else a month, or the last ten years."""
    dataset = next((one for one in listed if one["name"] == asked.get("dataset")), None)
    dataset = dataset or next((one for one in listed if one["first"]), listed[0])
    by_year = dataset["hasUnits"]
    start, end = asked.get("start", ""), asked.get("end", "")
    return {
        "source": dataset["source"],
        "name": dataset["name"],
        "series": asked.get("series", "").replace(",", "\n"),
        "report": asked.get("report", ""),
        "mode": _one_of(asked.get("mode"), "missing", "missing+failed", "all"),
        "direction": _one_of(asked.get("direction"), "both", "backward", "forward"),
        "priority": _one_of(asked.get("priority"), "normal", "high", "low"),
        "rate": asked.get("rate", ""),
        "recheck": asked.get("recheck", ""),
        "title": asked.get("name", ""),
        "start": "" if by_year else start or (today - timedelta(days=30)).date().isoformat(),
        "end": "" if by_year else end,
        "start_year": start[:4] if by_year and start else str(today.year - 10),
        "end_year": end[:4] if by_year and end else str(today.year - 1),
    }


def _one_of(said: str | None, usual: str, *others: str) -> str:
    return said if said in others else usual
