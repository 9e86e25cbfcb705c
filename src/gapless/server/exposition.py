"""Figures in the text format of Prometheus, written by its own client library."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from gapless.core.job import JobState
from gapless.engine.overview import Overview
from gapless.server.board import Board
from gapless.server.live import Live
from gapless.server.vitals import BOUNDS, Vitals


def text(seen: Overview, board: Board, live: Live, vitals: Vitals) -> bytes:
    """One page of figures."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Page(seen, board, live, vitals))
    return generate_latest(registry)


class _Page(Collector):
    def __init__(self, seen: Overview, board: Board, live: Live, vitals: Vitals) -> None:
        self._seen, self._board, self._live, self._vitals = seen, board, live, vitals

    def collect(self) -> Iterator[Metric]:
        yield from self._work()
        yield from self._sources()
        yield from self._server()

    def _work(self) -> Iterator[Metric]:
        jobs = GaugeMetricFamily("gapless_jobs", "Jobs by state.", labels=["state"])
        for state in JobState:
            jobs.add_metric([state.value], self._seen.states.get(state.value, 0))
        yield jobs
        waiting = GaugeMetricFamily("gapless_segments_waiting", "Segments that could run now.", labels=["queue"])
        running = GaugeMetricFamily("gapless_segments_running", "Segments that run.", labels=["queue"])
        oldest = GaugeMetricFamily("gapless_queue_oldest_seconds", "Age of the oldest waiting job.", labels=["queue"])
        for one in self._seen.queues:
            waiting.add_metric([one.queue], one.waiting)
            running.add_metric([one.queue], one.running)
            oldest.add_metric([one.queue], one.oldest_seconds)
        yield from (waiting, running, oldest)
        yield _gauge("gapless_workers", "Workers that have not left.", len(self._seen.workers))
        yield _gauge("gapless_slots", "Slots of all workers.", sum(one.slots for one in self._seen.workers))
        rows, requests = self._board.speed()
        yield _gauge("gapless_rows_per_second", "Rows a second over the last ten seconds.", rows)
        yield _gauge("gapless_requests_per_second", "Requests a second over the last ten seconds.", requests)
        yield _gauge("gapless_error_ratio", "Jobs of the last hour that went wrong, 0 to 1.", self._seen.error_rate)

    def _sources(self) -> Iterator[Metric]:
        sent = CounterMetricFamily("gapless_budget_requests", "Departures reserved.", labels=["budget"])
        refused = CounterMetricFamily("gapless_budget_refusals", "Refusals of the source.", labels=["budget"])
        blocked = GaugeMetricFamily(
            "gapless_budget_blocked_until_seconds",
            "Until when the source told us to wait, Unix time.",
            labels=["budget"],
        )
        for one in self._seen.budgets:
            sent.add_metric([one.key], one.requests)
            refused.add_metric([one.key], one.refusals)
            blocked.add_metric([one.key], one.blocked_until / 1_000_000)
        yield from (sent, refused, blocked)

    def _server(self) -> Iterator[Metric]:
        yield _gauge("gapless_live_readers", "Readers of live events.", self._live.listeners)
        yield _gauge("gapless_loop_lag_seconds", "Delay of the server's loop.", self._vitals.lag)
        yield _gauge("process_resident_memory_bytes", "Memory in use.", self._vitals.memory)
        yield _gauge("gapless_uptime_seconds", "Seconds since the server began.", self._vitals.uptime)
        answers = HistogramMetricFamily(
            "gapless_http_request_duration_seconds", "Answers of routes.", labels=["method", "route", "status"]
        )
        for (method, route, status), counted in list(self._vitals.answers.items()):
            total, buckets = 0, []
            for bound, number in zip([*map(str, BOUNDS), "+Inf"], counted, strict=True):
                total += number
                buckets.append((bound, total))
            answers.add_metric([method, route, str(status)], buckets, self._vitals.seconds[method, route, status])
        yield answers


def _gauge(name: str, doc: str, value: float) -> Metric:
    return GaugeMetricFamily(name, doc, value=value)
