"""What validations have found, and how it is mended."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import Response

from gapless.app.shown import finding_json, listed_finding_json, verdict_json
from gapless.core.job import Kind
from gapless.server.access import History, Operator, Viewer, check_control
from gapless.server.api.documented import problems
from gapless.server.context import Server
from gapless.server.problems import Problem
from gapless.server.shapes import PAGE, Number, Shape, Word, answer, page_of
from gapless.store import findings
from gapless.store.findings import Which

router = APIRouter(prefix="/api", tags=["findings"], responses=problems())


class Listing(Shape):
    """A page of findings: of a job, a dataset, series whose name holds a text, a rule, a severity."""

    job: Annotated[int, Field(ge=0, le=2**53)] = 0
    dataset: Word = ""
    series: Word = ""
    rule: Word = ""
    severity: Literal["", "error", "warning"] = ""
    cursor: Annotated[int, Field(ge=0, le=2**53)] = 0
    limit: Annotated[int, Field(ge=1, le=PAGE)] = 100


@router.get("/findings", summary="Findings, the newest first")
def list_findings(server: Server, caller: Viewer, asked: Annotated[Listing, Query()]) -> Response:  # noqa: ARG001
    """`counts` by rule and severity come with the first page; they count what `rule` and `severity` leave out, too."""
    everywhere = Which(job=asked.job, dataset=asked.dataset, series=asked.series)
    which = Which(job=asked.job, dataset=asked.dataset, series=asked.series, rule=asked.rule, severity=asked.severity)
    with server.history.store.read() as tx:
        found = findings.page(tx, which, asked.limit + 1, below=asked.cursor or 2**62)
        counted = findings.counts(tx, everywhere) if not asked.cursor else []
    shown, is_more = page_of(found, asked.limit)
    return answer(
        {
            "findings": [listed_finding_json(one) for one in shown],
            "counts": [{"rule": rule, "severity": how.value, "count": count} for rule, how, count in counted],
            "cursor": shown[-1].id if is_more else None,
        }
    )


@router.get("/findings/series", summary="Scores of the series of a validation", responses=problems(404, 409))
def list_verdicts(
    server: Server,
    caller: Viewer,  # noqa: ARG001
    job: Annotated[int, Query(ge=1, le=2**53)],
    cursor: Annotated[str, Query(max_length=50, pattern=r"^(\d{1,16}-\d{1,16})?$")] = "",
    limit: Annotated[int, Query(ge=1, le=PAGE)] = 100,
) -> Response:
    """The worst first; a score goes from 100, nothing was found, to 0."""
    _check_validation(server, job)
    share, _, its = cursor.partition("-")
    after = (int(share), int(its)) if cursor else (2**40, 0)
    with server.history.store.read() as tx:
        found = findings.verdicts(tx, job, limit + 1, after=after)
    shown, is_more = page_of(found, limit)
    cursor_now = f"{shown[-1].share}-{shown[-1].id}" if is_more else None
    return answer({"series": [verdict_json(one) for one in shown], "cursor": cursor_now})


@router.get("/batch/jobs/{job_id}/findings", summary="What a validation has found", responses=problems(404, 409))
def findings_of_job(server: Server, caller: Viewer, job_id: Number) -> Response:  # noqa: ARG001
    """Each series with its score (100: nothing was found) and its findings."""
    _check_validation(server, job_id)
    seen = server.history.validated(job_id)
    series = [
        {
            "series": one.series,
            "rows": one.rows,
            "score": one.score,
            "findings": [finding_json(each) for each in one.findings[:1000]],
            "findingCount": len(one.findings),
        }
        for one in seen.series
    ]
    return answer({"job": seen.job, "dataset": seen.dataset, "series": series})


@router.post(
    "/batch/jobs/{job_id}/repair",
    status_code=202,
    summary="Mend what a validation has found",
    responses=problems(404, 409, 429, 502),
)
def repair(server: Server, caller: Operator, history: History, job_id: Number) -> Response:
    """Take back what cannot be true or is not there; the answer's `job` fetches it again, null: there is nothing to."""
    check_control(caller, history.jobs.get(job_id))
    made = history.mend(job_id)
    server.live.nudge()
    return answer({"job": None if made is None else server.board.row(made.job)}, 202)


def _check_validation(server: Server, job_id: int) -> None:
    if server.history.jobs.get(job_id).kind != Kind.VALIDATE:
        raise Problem(409, f"job {job_id} is no validation", hint="make one with `POST /api/batch/data-validation`")
