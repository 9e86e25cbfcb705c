"""Naver: the newest thousand of a query, a hundred at once, while the list moves."""

from __future__ import annotations

from datetime import timedelta

import pytest

from gapless.core.address import canonical
from gapless.core.errors import (
    BadReply,
    HoldJob,
    OutOfReach,
    Refused,
    SchemaChanged,
    SourceError,
    TryAgain,
    Unauthorized,
    UnknownSeries,
    UsageError,
)
from gapless.core.page import Ask, Page
from gapless.core.span import DAY, MINUTE, Span
from gapless.sandbox.clock import instant
from gapless.sandbox.naver.api import HUB_KEY, OLD_KEY
from gapless.sandbox.naver.world import World
from gapless.sources.http import Http
from gapless.sources.naver import Naver
from gapless.sources.naver.source import NEWS
from gapless.testing.news import open_news, stored_addresses

NOW = instant("2026-03-20T03:00:00Z")
NAME = "naver.news"
WORLD = World()


def busy(least: float, most: float) -> str:
    """A query with so many articles on a day."""
    for number in range(1000):
        query = f"삼성 {number}"
        if least <= len(WORLD.between(query, NOW - 10 * DAY, NOW)) / 10 <= most:
            return query
    raise AssertionError("no such query")


BUSY, QUIET = busy(100, 160), busy(1, 6)


def told(query: str, span: Span) -> list[tuple[int, str]]:
    """What a client should end up with."""
    found = WORLD.between(query, span.start, span.end)
    return sorted({(one.published_us, canonical(one.link)) for one in found})


@pytest.fixture
def source(naver):
    made = Naver(Http("naver", naver.url, timedelta(seconds=5), HUB_KEY))
    yield made
    made.close()


def ask(span: Span, query: str = BUSY) -> Ask:
    return Ask(series=query, span=span, limit=NEWS.grid.count(span.start, span.end))


def fetch(source: Naver, asked: Ask) -> Page:
    return source.fetch(NEWS, asked, NOW)


def refusal(source: Naver, kind: type[SourceError], query: str = BUSY) -> SourceError:
    with pytest.raises(kind) as caught:
        fetch(source, ask(Span(NOW - DAY, NOW), query))
    assert type(caught.value) is kind
    return caught.value


# What a reply proves


def test_a_full_page_proves_down_to_the_second_after_its_last_article(source):
    """That second may go on on the next page."""
    page = fetch(source, ask(Span(NOW - 5 * DAY, NOW)))
    assert page.proven is not None
    assert page.proven.end == NOW
    assert [row[:2] for row in page.rows] == told(BUSY, page.proven)
    assert 80 < len(page.rows) < 100


def test_pages_meet_without_a_seam(source):
    """Each page begins a little before the end of the one before, so what is pushed down is not missed."""
    left, got = Span(NOW - 5 * DAY, NOW), []
    while True:
        page = fetch(source, ask(left))
        assert page.proven is not None
        assert page.proven.end == left.end
        got += page.rows
        if page.proven.start <= left.start:
            break
        left = Span(left.start, page.proven.start)
    assert sorted(row[:2] for row in got if row[0] >= left.start) == told(BUSY, Span(NOW - 5 * DAY, NOW))


def test_the_end_of_the_list_proves_all_that_was_asked(source):
    """Nothing is older."""
    asked = Span(instant("2000-01-01"), NOW)
    query = "없는 회사"
    page = fetch(source, ask(asked, query))
    assert page.rows == []
    assert page.proven == asked


@pytest.mark.parametrize("bad", ["카카오 title:네이버", "005930=", "title:네이버"])
def test_a_series_that_promises_what_the_search_cannot_is_refused(bad):
    """A filter that is not applied would store other articles under its name."""
    assert not NEWS.is_series(bad)
    assert NEWS.is_series("005930=삼성전자 반도체")


def test_beyond_the_newest_thousand_nothing_can_be_reached(source):
    """The provider shows no more: the series is held with what it has."""
    left = Span(NOW - 300 * DAY, NOW)
    for _ in range(11):
        page = fetch(source, ask(left))
        assert page.proven is not None
        left = Span(left.start, page.proven.start)
    with pytest.raises(OutOfReach, match="newest 1,000"):
        fetch(source, ask(left))


def test_articles_that_went_away_are_noticed(source, naver):
    """A gap that nobody saw would be worse than to begin again."""
    page = fetch(source, ask(Span(NOW - 5 * DAY, NOW)))
    assert page.proven is not None
    naver.control(removed=30)
    with pytest.raises(TryAgain):
        fetch(source, ask(Span(NOW - 5 * DAY, page.proven.start)))


def test_an_article_is_told_in_plain_words(source):
    """Tags go, escaped characters come back, the time is exact, the number of Naver is the address."""
    rows = fetch(source, ask(Span(NOW - 5 * DAY, NOW))).rows
    title, certainty = rows[0][3], rows[0][5]
    assert title.startswith(f'{BUSY}, "')
    assert title.endswith("<종합>")
    assert certainty == "exact"
    assert any(row[1].startswith("https://n.news.naver.com/mnews/article/") for row in rows)
    assert not any("utm" in row[1] or "sid=" in row[1] for row in rows)
    assert {row[4] for row in rows} <= {"kmib.co.kr", "hankyung.com", "mk.co.kr", "yna.co.kr"}


# Keys and failures


@pytest.mark.parametrize("key", [HUB_KEY, OLD_KEY])
def test_both_services_answer_to_their_own_key(naver, key):
    """The length of the secret tells them apart."""
    made = Naver(Http("naver", naver.url, timedelta(seconds=5), key))
    assert fetch(made, ask(Span(NOW - DAY, NOW))).rows
    made.close()


@pytest.mark.parametrize("key", [f"bad0:{'5a' * 20}", f"off0:{'5a' * 20}", "badid:0123456789", "offid:0123456789"])
def test_a_refused_key_holds_the_job(naver, key):
    """With advice, and without the key."""
    made = Naver(Http("naver", naver.url, timedelta(seconds=5), key))
    error = refusal(made, Unauthorized)
    assert key.partition(":")[2] not in str(error)
    assert "GAPLESS_NAVER_API_KEY" in str(error)
    made.close()


def test_a_key_of_the_old_service_needs_its_address():
    """It would only be refused elsewhere."""
    with pytest.raises(UsageError, match="GAPLESS_NAVER_BASE_URL"):
        Naver(Http("naver", Naver.default_url, key=OLD_KEY)).check()
    with pytest.raises(UsageError, match="GAPLESS_NAVER_API_KEY"):
        Naver(Http("naver", Naver.default_url)).check()


def test_a_spent_quota_may_be_the_day(source, naver):
    """25,000 requests a day, of all searches of the key together."""
    naver.control(quota=1)
    fetch(source, ask(Span(NOW - DAY, NOW)))
    assert refusal(source, Refused).is_quota


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"kind": "status", "status": 500}, TryAgain),
        ({"kind": "status", "status": 404}, HoldJob),
        ({"kind": "html", "status": 200}, TryAgain),
        ({"kind": "truncate"}, TryAgain),
        ({"kind": "missing_field"}, SchemaChanged),
        ({"kind": "malformed_row"}, BadReply),
    ],
)
def test_failures_are_sorted_by_what_to_do_next(source, naver, fault, kind):
    """Again later, ours to mend, or this span only."""
    naver.control(faults=[fault])
    refusal(source, kind)


def test_a_query_without_words_is_refused(source):
    """A company may have no name in the directory."""
    with pytest.raises(UnknownSeries):
        fetch(source, Ask(series="005930", span=Span(NOW - DAY, NOW), limit=1, alias=" "))


# Whole fills


def test_a_daily_collection_takes_what_is_new(history, naver, wall):
    """Each day asks only for what came since the day before; the older part stays."""
    assert history.backfill(NAME, [BUSY, QUIET], days=2).wait() == "done"
    first = naver.stats()["requests"]
    wall.move("2026-03-21T03:00:00Z")
    naver.control(now="2026-03-21T03:00:00Z", reset_stats=True)
    running = history.backfill(NAME, [BUSY, QUIET], days=3)
    assert running.wait() == "done"
    for query in (BUSY, QUIET):
        assert stored_addresses(history, NAME, query, running.job.span) == told(query, running.job.span)
        assert not history.verify(NAME, query).findings
    assert naver.stats()["requests"] <= first


def test_articles_that_arrive_while_the_list_is_read_are_not_missed(sqlite_history, naver):
    """They push the others down; the frontier was fixed before."""
    naver.control(arrival_ms=5 * MINUTE // 1000)
    running = sqlite_history.backfill(NAME, BUSY, days=4)
    assert running.wait() == "done"
    assert stored_addresses(sqlite_history, NAME, BUSY, running.job.span) == told(BUSY, running.job.span)


def test_what_is_out_of_reach_is_held_and_what_was_told_stays(sqlite_history, naver):
    """A gap is better than a lie."""
    running = sqlite_history.backfill(NAME, [BUSY, QUIET], days=60)
    assert running.wait() == "incomplete"
    assert "newest 1,000" in running.job.error
    covered = sqlite_history.coverage(NAME, BUSY)
    assert covered.height == 1
    assert 900 <= covered["rows"].sum() <= 1_100
    span = Span(int(covered["start"].dt.epoch("us")[0]), int(covered["end"].dt.epoch("us")[0]))
    assert stored_addresses(sqlite_history, NAME, BUSY, span) == told(BUSY, span)


def test_another_process_finds_its_way_down_the_list(sqlite_url, naver, gdelt, wall):
    """The place in the list is not stored: who goes on begins at the top and reads until it is new to the ledger."""
    urls = {"gdelt": gdelt.url, "naver": naver.url}
    with open_news(sqlite_url, wall, base_urls=urls) as first:
        made = first.create(first.wish(first.dataset(NAME), BUSY, None, None, days=5))
        assert first.step(made.job.id, 3) == 3
    with open_news(sqlite_url, wall, base_urls=urls) as second:
        assert second.run(made.job.id).wait() == "done"
        span = made.job.span
        assert stored_addresses(second, NAME, BUSY, span) == told(BUSY, span)
