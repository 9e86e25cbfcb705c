"""Libraries that most commands never need and that take long to load: each is imported at its first use.

Name what you need as if it were imported (`from gapless.core.lazily import pl`); at module level only use it
where the module itself is loaded late.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__all__ = ["np", "pl", "psycopg"]


class _Lazily:
    """Stands for a module until somebody asks for something in it."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        found = getattr(import_module(self._name), attribute)
        setattr(self, attribute, found)
        return found


if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    import psycopg
else:
    np = _Lazily("numpy")
    pl = _Lazily("polars")
    psycopg = _Lazily("psycopg")
