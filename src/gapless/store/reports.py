"""The files of report jobs: what was written, and the digest by which it is known again."""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields

from sqlalchemy import bindparam, delete, insert, select

from gapless.core.span import Instant
from gapless.store.database import Tx
from gapless.store.schema import report
from gapless.store.sql import Statement

_b = bindparam


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFile:
    """One file."""

    job: int
    #: Its name in the folder of its job.
    name: str
    dataset: str
    series: str
    media_type: str
    bytes: int
    sha256: str
    at: Instant


_NAMES = [one.name for one in fields(ReportFile)]
_COLUMNS = [report.c[name] for name in _NAMES]
_FORGET = Statement(delete(report).where(report.c.job == _b("its_job"), report.c.name == _b("its_name")))
_ADD = Statement(insert(report).values({name: _b(f"its_{name}") for name in _NAMES}))
_OF_JOB = Statement(select(*_COLUMNS).where(report.c.job == _b("its_job")).order_by(report.c.name))
_GET = Statement(select(*_COLUMNS).where(report.c.job == _b("its_job"), report.c.name == _b("its_name")))


def add(tx: Tx, file: ReportFile) -> None:
    """Note a file; one that is made again takes the place of the one before."""
    tx.run(_FORGET, its_job=file.job, its_name=file.name)
    tx.run(_ADD, **{f"its_{name}": value for name, value in zip(_NAMES, astuple(file), strict=True)})


def of_job(tx: Tx, job_id: int) -> list[ReportFile]:
    """The files of a job, by name."""
    return [_file(row) for row in tx.rows(_OF_JOB, its_job=job_id)]


def get(tx: Tx, job_id: int, name: str) -> ReportFile | None:
    """One file of a job."""
    row = tx.one(_GET, its_job=job_id, its_name=name)
    return None if row is None else _file(row)


def _file(row: tuple[object, ...]) -> ReportFile:
    return ReportFile(**dict(zip(_NAMES, row, strict=True)))  # type: ignore[arg-type]
