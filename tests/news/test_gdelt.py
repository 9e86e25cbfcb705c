"""GDELT: no page after the first, so spans are halved until they fit; errors come at HTTP status 200."""

from __future__ import annotations

import re
import unicodedata
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gapless.core.address import canonical
from gapless.core.errors import (
    BadReply,
    HoldJob,
    Refused,
    SchemaChanged,
    SourceError,
    TooMuch,
    TryAgain,
    UnknownSeries,
    UsageError,
)
from gapless.core.job import Queue
from gapless.core.page import Ask, Page
from gapless.core.paging import fit, fresh, halved, next_ask
from gapless.core.span import DAY, HOUR, Span
from gapless.sandbox.clock import instant
from gapless.sandbox.gdelt.world import BUSY
from gapless.sources.articles import is_titled, titled, words_of
from gapless.sources.gdelt import Gdelt
from gapless.sources.gdelt.query import bare, query_of
from gapless.sources.gdelt.source import ARTICLES, QUARTER
from gapless.sources.http import Http
from gapless.store import events
from gapless.testing.factories import lease_of
from gapless.testing.fleet import eventually
from gapless.testing.news import gdelt_addresses, open_news, stored_addresses
from gapless.work.base import Asked
from gapless.work.collect import Collect

START = instant("2026-03-02")
MONTH = Span(START, START + 16 * DAY)
NAME = "gdelt.articles"


@pytest.fixture
def source(gdelt):
    made = Gdelt(Http("gdelt", gdelt.url, timedelta(seconds=5)))
    yield made
    made.close()


def ask(span: Span = MONTH, series: str = '"samsung electronics"', alias: str = "") -> Ask:
    return Ask(series=series, span=span, limit=ARTICLES.grid.count(span.start, span.end), alias=alias)


def fetch(source: Gdelt, asked: Ask) -> Page:
    return source.fetch(ARTICLES, asked, instant("2026-03-20"))


def refusal(source: Gdelt, kind: type[SourceError], asked: Ask | None = None) -> SourceError:
    with pytest.raises(kind) as caught:
        fetch(source, asked or ask())
    assert type(caught.value) is kind
    assert caught.value.source == "gdelt"
    return caught.value


# What a reply proves


def test_a_list_that_is_not_full_proves_its_span(source, gdelt, world):
    """There is no page after it, so these are all."""
    day = Span(START, START + DAY)
    page = fetch(source, ask(day))
    assert page.proven == day
    assert [row[:2] for row in page.rows] == gdelt_addresses(world, "samsung electronics", day)
    (seen,) = gdelt.stats(log=True)["log"]
    assert seen[1:4] == ['"samsung electronics" sourcelang:korean', "20260302000000", "20260302235959"]


def test_a_full_list_proves_nothing(source):
    """Which articles it leaves out is not told."""
    assert "250 articles" in str(refusal(source, TooMuch, ask(Span(START - 400 * DAY, START))))


def test_nothing_found_proves_that_there_is_nothing(source):
    """`{}` is an answer."""
    page = fetch(source, ask(Span(instant("2016-01-01"), instant("2016-02-01"))))
    assert page.rows == []
    assert page.proven is not None


def test_an_article_carries_what_is_known_of_it(source):
    """Address, link as told, title, publisher, what its time means, first seen, and what it was found by."""
    row = fetch(source, ask(Span(START, START + 4 * DAY))).rows[0]
    said = dict(zip(["time", "address", *[c.name for c in ARTICLES.columns[1:]]], row, strict=True))
    assert said["address"].startswith("https://")
    assert "속보" in said["title"]
    assert "&quot;" not in said["title"]
    assert said["certainty"] == "seen"
    assert said["first_seen"] == instant("2026-03-20")
    assert said["query"] == '"samsung electronics" sourcelang:korean'
    assert "." in said["publisher"]


# Failures


def test_who_comes_too_early_waits_a_minute(source, gdelt):
    """429 without a hint how long; who goes on asking is refused for longer."""
    gdelt.control(interval_s=60)
    fetch(source, ask())
    assert refusal(source, Refused).seconds == 60
    gdelt.control(soft=True)
    assert refusal(source, Refused).seconds == 60


def test_a_query_that_is_not_understood_holds_its_series(source):
    """At HTTP status 200, as a line of text."""
    assert "too short" in str(refusal(source, UnknownSeries, ask(series='"sk"')))
    assert "OR" in str(refusal(source, UnknownSeries, ask(series='"sk hynix" OR "sk telecom"')))


def test_a_stock_without_an_english_name_is_told_so(source):
    """Some companies of the directory have none."""
    assert "005930=" in str(refusal(source, UnknownSeries, ask(series="005930", alias=" ")))


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"kind": "status", "status": 503}, TryAgain),
        ({"kind": "status", "status": 404}, HoldJob),
        ({"kind": "html", "status": 200}, TryAgain),
        ({"kind": "truncate"}, TryAgain),
        ({"kind": "missing_field"}, SchemaChanged),
        ({"kind": "malformed_row"}, BadReply),
    ],
)
def test_failures_are_sorted_by_what_to_do_next(source, gdelt, fault, kind):
    """Again later, ours to mend, or this span only."""
    gdelt.control(faults=[fault])
    refusal(source, kind)


# The query


def test_a_name_becomes_a_phrase_in_korean_articles():
    """English names are ambiguous without it."""
    assert query_of("Samsung Electronics") == '"Samsung Electronics" sourcelang:korean'
    assert query_of("SAMSUNG ELECTRONICS CO,.LTD") == '"SAMSUNG ELECTRONICS" sourcelang:korean'
    assert query_of('"SK hynix" OR x') == '"SK hynix" OR x sourcelang:korean'
    assert query_of('("SK hynix" OR hynix) sourcelang:english') == '("SK hynix" OR hynix) sourcelang:english'
    assert bare("Hyundai Motor Company") == "Hyundai Motor"
    assert bare("CO., LTD") == "CO"
    assert query_of("  ") == ""


def test_korean_words_are_refused_before_anything_is_sent(sqlite_history, gdelt):
    """GDELT would find nothing without a word of warning, and that would count as an empty span."""
    with pytest.raises(UsageError, match="series"):
        sqlite_history.backfill(NAME, "삼성전자", "2026-03-01", "2026-03-02")
    assert gdelt.stats()["requests"] == 0


# Whole fills


def test_a_backfill_has_two_segments_and_loses_and_doubles_nothing(history, gdelt, world):
    """One job for the owner; a recent half from the newest, a historical one from the oldest."""
    series = '"samsung electronics"'
    running = history.backfill(NAME, series, "2026-02-01", "2026-03-15")
    assert running.wait() == "done", running.job.error
    span = running.job.span
    assert stored_addresses(history, NAME, series, span) == gdelt_addresses(world, "samsung electronics", span)
    with history.store.read() as tx:
        from gapless.store import segments

        sides = {one.segment.side for one in segments.of_job(tx, running.job.id)}
    assert sides == {"recent", "history"}
    assert not history.verify(NAME, series).findings
    sent = gdelt.stats()["requests"]
    assert history.backfill(NAME, series, "2026-02-01", "2026-03-15").wait() == "done"
    assert gdelt.stats()["requests"] == sent


def test_a_query_of_ones_own_is_a_series_of_its_own(sqlite_history, gdelt, world):
    """Another query gets another answer."""
    series = '005930="samsung electronics"'
    assert sqlite_history.backfill(NAME, series, "2026-03-01", "2026-03-02").wait() == "done"
    assert {seen[1] for seen in gdelt.stats(log=True)["log"]} == {'"samsung electronics" sourcelang:korean'}


def test_where_two_lanes_meet_the_left_out_are_counted_once(history):
    """A thief begins beyond the victim's request under way; what both are told of is one article."""
    series = '"samsung electronics" title:nobody'
    hours = [Span(START, START + 2 * HOUR), Span(START + HOUR, START + 3 * HOUR)]
    job = history.jobs.create(history.wish(history.dataset(NAME), series, "2026-03-02", "2026-03-02")).job
    lease = lease_of(history.store, queue=Queue.BACKFILL, now=history.clock.now())
    work = Collect(store=history.store, dataset=ARTICLES, source=history.catalogue.source(ARTICLES), series=series)
    for one in hours:
        ask = Ask(series=series, span=one, limit=8)
        asked = Asked(ask=ask, now=history.clock.now(), is_backward=False)
        page = Page(rows=[], proven=one, left_out=tuple(range(one.start, one.end, QUARTER)))
        work.keep(asked, page, lease, history.clock.now(), requests=1)
    with history.store.read() as tx:
        told = [one.message for one in events.of_job(tx, job.id) if one.name == "rows.left_out"]
    assert [int(re.search(r": (\d+) of", one)[1]) for one in told] == [8, 4]


@pytest.mark.parametrize(
    ("series", "word"),
    [
        ("005930 title:삼성전자", "005930"),
        ('005930="a b" title:한화', '005930="a b"'),
        ('"a" title:삼성 전자|삼전', '"a"'),
    ],
)
def test_a_series_may_say_which_titles_it_takes(series, word):
    """The words are the query's without it, and what it says is part of the name: another filter, another answer."""
    assert ARTICLES.is_series(series)
    assert ARTICLES.directory is not None
    assert ARTICLES.directory.word(series) == word
    assert ARTICLES.directory.translates(series) == (word == "005930")
    assert "title:" not in words_of(series, word)


@pytest.mark.parametrize(
    "bad",
    ["삼성전자", "005930 title:", "005930 title:a||b", "005930 title:a ", "005930=", "005930= title:a", "title:a"],
)
def test_a_filter_needs_a_name(bad):
    """An empty one would take every title."""
    assert not ARTICLES.is_series(bad)


def test_names_are_found_in_titles_however_they_are_spaced():
    """GDELT tells `삼성 전자 , 실적` where the publisher wrote `삼성전자, 실적`."""
    assert is_titled("삼성 전자 , 실적 발표", titled('"x" title:삼성전자'))
    assert is_titled(unicodedata.normalize("NFD", "삼성전자 실적"), titled('"x" title:삼성전자'))
    assert is_titled("SK 하이닉스", titled('"x" title:한화|sk하이닉스'))
    assert not is_titled("한화 실적", titled('"x" title:삼성전자'))
    assert is_titled("한화 실적", titled('"x"'))


def test_titles_that_are_left_out_are_counted(history, gdelt, world):
    """Not stored and not asked for again, but never lost without a word."""
    series = '"samsung electronics" title:00001|00003'
    running = history.backfill(NAME, series, "2026-03-01", "2026-03-15")
    assert running.wait() == "done", running.job.error
    span = running.job.span
    every = world.between("samsung electronics", span.start, span.end)
    taken = [one for one in every if "00001" in one.title or "00003" in one.title]
    assert stored_addresses(history, NAME, series, span) == sorted({(one.seen_us, canonical(one.url)) for one in taken})
    with history.store.read() as tx:
        told = [one.message for one in events.of_job(tx, running.job.id) if one.name == "rows.left_out"]
    counted = [re.search(r": (\d+) of (\d+) left out$", one) for one in told]
    assert 0 < sum(int(one[1]) for one in counted if one) == len(every) - len(taken)
    assert {seen[1] for seen in gdelt.stats(log=True)["log"]} == {'"samsung electronics" sourcelang:korean'}
    sent = gdelt.stats()["requests"]
    assert history.backfill(NAME, series, "2026-03-01", "2026-03-15").wait() == "done"
    assert gdelt.stats()["requests"] == sent


def test_a_daily_collection_is_not_delayed_by_a_backfill(database_url, gdelt, wall):
    """It has slots of its own, and the budget goes to it first: it is over while years of backfill wait."""
    phrases = [f'"{word} electronics"' for word in ("samsung", "blue", "green", "red")]
    with open_news(database_url, wall, base_urls={"gdelt": gdelt.url}, rates={"gdelt": 20.0}) as history:
        dataset = history.dataset(NAME)
        years = history.create(history.wish(dataset, phrases, "2018-01-01", "2026-01-01")).job
        worker = history.engine({Queue.BACKFILL: 2, Queue.DAILY: 1})
        eventually(lambda: history.jobs.get(years.id).state == "running" and gdelt.stats()["requests"] >= 2)
        daily = history.create(history.wish(dataset, ['"daily bank"'], None, None, days=2), queue=Queue.DAILY).job
        worker.ring()
        eventually(lambda: history.jobs.get(daily.id).is_final)
        assert history.jobs.get(daily.id).state == "done"
        assert history.jobs.get(years.id).state == "running"
        history.jobs.cancel(years.id)


def test_few_articles_cost_few_requests(sqlite_history, gdelt):
    """Spans grow up to 64 days where little is written: a day each would be 1,096 requests of 7 seconds."""
    series = '"samsung electronics"'
    assert sqlite_history.backfill(NAME, series, "2023-03-01", "2026-03-01").wait() == "done"
    assert gdelt.stats()["requests"] <= 50


def test_a_quarter_that_no_list_can_tell_is_given_up_and_named(sqlite_history, gdelt, world):
    """All beside it is stored; the quarter is quarantined, never covered."""
    series = f'"{BUSY}"'
    running = sqlite_history.backfill(NAME, series, "2026-02-28", "2026-03-02")
    assert running.wait() == "incomplete"
    lost = Span(instant("2026-03-01T10:00:00Z"), instant("2026-03-01T10:15:00Z"))
    gaps = sqlite_history.stretches(sqlite_history.dataset(NAME), series, "2026-02-28", "2026-03-02", None)
    assert [one.span for one in gaps if one.word.value != "empty"] == [lost]
    expected = [one for one in gdelt_addresses(world, BUSY, running.job.span) if one[0] not in lost]
    assert stored_addresses(sqlite_history, NAME, series, running.job.span) == expected


@settings(max_examples=60)
@given(
    st.lists(st.integers(0, 96 * 4 - 1), max_size=400),
    st.integers(2, 40),
    st.integers(1, 96),
    st.booleans(),
)
def test_halving_loses_and_doubles_no_address(quarters, cap, cells, backward):
    """Whatever the density and the cap: each quarter is told by exactly one list that was not full, or given up."""
    shape = Gdelt(Http("gdelt", "http://127.0.0.1:1")).shape(ARTICLES, "x")
    shape = type(shape)(rows=cells, jumps_back=False, cap=cap, widest=cells * 8)
    grid, left, window = ARTICLES.grid, [Span(START, START + 4 * DAY)], fresh(shape)
    told: list[int] = []
    given_up: list[Span] = []
    while left:
        span, _ = next_ask(grid, left, window, backward)
        count = grid.count(span.start, span.end)
        found = [one for one in quarters if START + one * QUARTER in span]
        if len(found) >= cap:
            if count > 1:
                window = halved(window, count)
                continue
            given_up.append(span)
        else:
            told += found
            window = fit(window, shape, count, len(found))
        (whole,) = left
        rest = (whole.start, span.start) if backward else (span.end, whole.end)
        left = [Span(*rest)] if rest[0] < rest[1] else []
    lost = [one for one in quarters if any(START + one * QUARTER in part for part in given_up)]
    assert sorted(told + lost) == sorted(quarters)
    assert all(part.end - part.start == QUARTER for part in given_up)
    assert all(quarters.count((part.start - START) // QUARTER) >= cap for part in given_up)


def test_what_is_seen_within_the_hour_is_left_for_later(sqlite_history):
    """Translations come in late: the frontier is an hour behind."""
    running = sqlite_history.backfill(NAME, '"samsung electronics"', days=2)
    assert running.wait() == "done"
    assert running.job.span.end <= sqlite_history.clock.now() - HOUR
