"""The files that report jobs have written."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Path
from starlette.responses import Response

from gapless.app.report import content, files
from gapless.core.span import iso
from gapless.server.access import Viewer
from gapless.server.api.documented import problems
from gapless.server.context import Server
from gapless.server.shapes import Number, answer
from gapless.work.report.formats import MEDIA

router = APIRouter(prefix="/api/jobs", tags=["jobs"], responses=problems())
#: A file as its job calls it: looked up in the database, never joined to a path as it is.
Name = Annotated[str, Path(max_length=300)]


@router.get("/{job_id}/files", summary="Its files", responses=problems(404))
def list_files(server: Server, caller: Viewer, job_id: Number) -> Response:  # noqa: ARG001
    """What a report job has written so far, by name; empty for jobs of other kinds."""
    listed = [
        {
            "name": one.name,
            "dataset": one.dataset,
            "series": one.series,
            "bytes": one.bytes,
            "sha256": one.sha256,
            "mediaType": one.media_type,
            "createdAt": iso(one.at),
        }
        for one in files(server.history, job_id)
    ]
    return answer(listed)


_BINARY = {"schema": {"type": "string", "format": "binary"}}


@router.get(
    "/{job_id}/files/{name}",
    summary="One of its files",
    response_class=Response,
    responses={
        200: {
            "description": "The file.",
            "content": {one.partition(";")[0]: _BINARY for one in MEDIA.values()},
        },
        **problems(404),
    },
)
def download(server: Server, caller: Viewer, job_id: Number, name: Name) -> Response:  # noqa: ARG001
    """A file as it was written; 404 for one that is gone, or was changed since."""
    found, body = content(server.history, job_id, name)
    # Saved, never shown: a page of this address could act as its reader.
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(found.name)}", "ETag": f'"{found.sha256}"'}
    return Response(body, headers=headers, media_type=found.media_type)
