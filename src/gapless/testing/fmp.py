"""A history against the simulated Financial Modeling Prep."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from gapless.sandbox.fmp.api import KEY
from gapless.sandbox.process import SandboxProcess
from gapless.settings import Settings

NOW = "2026-03-20T03:00:00Z"


def fmp_settings(database_url: str, provider: SandboxProcess, **changes: object) -> Settings:
    """Settings of a history that asks the simulator as fast as it can."""
    made = Settings(
        database_url=database_url,
        base_urls={"fmp": provider.url},
        api_keys={"fmp": KEY},
        rates={"fmp": None},
        slots=3,
        max_retries=1,
        retry_delay=timedelta(milliseconds=20),
        timeout=timedelta(seconds=10),
    )
    return replace(made, **changes)  # type: ignore[arg-type]
