"""JSON in and out: camelCase, strict, and no value that a database could not hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from fastapi import Path
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel
from starlette.responses import Response

#: Most entries of a page of a list.
PAGE = 500


class Shape(BaseModel):
    """What a client may send: fields we know, of the type we say."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=False, extra="forbid", str_max_length=10_000)


def plain(text: str) -> str:
    """Text that a log, a page and a database can hold."""
    if any(ord(one) < 32 or 0xD800 <= ord(one) <= 0xDFFF for one in text if one not in "\t\n\r"):
        raise ValueError("has control characters")
    return text


def _listed(value: Any) -> Any:
    """Names as people paste them: lines, commas, spaces; or a list."""
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list):
        return value
    return [word for one in texts for word in (one.replace(",", " ").split() if isinstance(one, str) else [one])]


#: Text without control characters.
Text = Annotated[str, Field(max_length=500), AfterValidator(plain)]
Word = Annotated[str, Field(max_length=100), AfterValidator(plain)]
#: Series as a list, or as they are pasted.
Names = Annotated[list[Word], BeforeValidator(_listed), Field(max_length=20_000)]
#: The number of a row.
Number = Annotated[int, Path(ge=1, le=2**53)]


def answer(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A value as JSON, encoded at the speed of the wire."""
    return Response(msgspec.json.encode(value), status, headers, "application/json")


def words(text: str) -> tuple[str, ...]:
    """The words of a search, at most eight."""
    return tuple(text.split()[:8])


def commas(text: str) -> tuple[str, ...]:
    """The parts of a list with commas."""
    return tuple(one.strip() for one in text.split(",") if one.strip())


def page_of(found: Sequence[Any], most: int) -> tuple[list[Any], bool]:
    """The first `most`, and whether there are more: of a query that asked for one more."""
    return list(found[:most]), len(found) > most
