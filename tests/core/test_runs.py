"""Coverage in columns: runs sum up, nothing that needs a look is hidden."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from gapless.core.runs import Cover, column, edge, paint
from gapless.core.span import Span

spans = st.tuples(st.integers(-50, 1100), st.integers(1, 300)).map(lambda one: Span(one[0], one[0] + one[1]))


@given(st.integers(1, 400), st.integers(1, 1000), st.integers(-(10**15), 10**15))
def test_a_column_begins_at_its_edge(width: int, length: int, start: int):
    """The two sums are each other's inverse: no instant falls between two columns."""
    window = Span(start, start + length)
    for at in (start, start + length - 1, start + length // 2):
        number = column(window, width, at)
        assert 0 <= number < width
        assert edge(window, width, number) <= at < max(edge(window, width, number + 1), at + 1)


@given(st.integers(1, 200), st.lists(spans, max_size=5), st.lists(spans, max_size=5))
def test_runs_sum_up_and_a_missing_instant_shows(width: int, present: list[Span], missing: list[Span]):
    """A column in which anything is missing is drawn as missing, however little it is."""
    window = Span(0, 1000)
    runs = paint(window, width, [(Cover.PRESENT, present), (Cover.MISSING, missing)])
    assert sum(count for count, _ in runs) == width
    assert all(one[1] != other[1] for one, other in pairwise(runs))
    columns = [state for count, state in runs for _ in range(count)]
    for part in missing:
        inside = part.clip(window)
        if inside:
            assert columns[column(window, width, inside.start)] == Cover.MISSING
            assert columns[column(window, width, inside.end - 1)] == Cover.MISSING
