"""The OpenAPI document is true: whatever a client sends, with rights or without, is answered as it says."""

from __future__ import annotations

import os
from typing import Any

import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck, given
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from gapless.testing.history import MINUTES

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
#: A stream has no end.
ENDLESS = {"/api/events"}
#: Examples a route, of good and of bad requests; `GAPLESS_TEST_EXAMPLES` looks further.
EXAMPLES = int(os.environ.get("GAPLESS_TEST_EXAMPLES", "4"))


def operations(document: dict[str, Any]) -> list[Any]:
    """Every operation of the document that ends."""
    schema = schemathesis.openapi.from_dict(document)
    found = [one.ok() for one in schema.get_all_operations()]
    return [one for one in found if one.path not in ENDLESS]


def ask_everything(document: dict[str, Any], url: str, headers: dict[str, str]) -> set[int]:
    """Send examples to every operation; returns the statuses that came."""
    seen: set[int] = set()
    for operation in operations(document):
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            strategy = operation.as_strategy(mode)

            @hypothesis.settings(
                max_examples=EXAMPLES,
                deadline=None,
                derandomize=True,
                database=None,
                suppress_health_check=list(HealthCheck),
            )
            @given(case=strategy)
            def ask(case: Any) -> None:
                answer = case.call_and_validate(base_url=url, headers=headers, checks=CHECKS, timeout=20)
                seen.add(answer.status_code)

            try:
                ask()
            except Unsatisfiable:
                # There is no bad request to a route that takes nothing.
                assert mode is GenerationMode.NEGATIVE, operation.label
    return seen


# More than a hundred operations, a few requests each: that takes longer than one test usually may.
@pytest.mark.timeout(600)
@pytest.mark.parametrize("role", ["", "admin"])
def test_every_answer_is_documented(serving, client, role: str):
    """No 5xx, no status, content type or shape that the document does not name."""
    client("admin").post("/api/batch/jobs", json={"dataset": MINUTES, "series": "KRW-BTC", "days": 1})
    headers = {"Authorization": client(role).headers["authorization"]} if role else {}

    document = client("admin").get("/api/openapi.json").json()
    seen = ask_everything(document, serving.url, headers)

    assert {401} <= seen if not role else {200, 404, 422} <= seen
    assert 500 not in seen
