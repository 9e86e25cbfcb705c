"""Sets of series that are known already: those of a dataset, or the companies of a market."""

from __future__ import annotations

from gapless.app.history import Gapless
from gapless.core.dataset import Dataset, Grouping
from gapless.core.errors import UsageError
from gapless.engine.names import Names
from gapless.store import rows

FIELD = "series-from"


def series_from(history: Gapless, dataset: Dataset, text: str, *, progress: bool = False) -> list[str]:
    """The series that a set names, as `dataset` calls them; raises `UsageError`.

    `dart.companies` is everybody whom today's directory gives a stock code, `dart.companies:KOSPI` one market of them;
    another dataset is the set of its stored series.
    """
    word, _, group = text.partition(":")
    told = _dataset(history, word)
    directory = dataset.directory
    if directory is not None and directory.dataset == told.name:
        history.directory(dataset, progress=progress)
        found = sorted(Names(history.store, history.catalogue).words(directory))
    else:
        found = sorted({one.partition("/")[0] for one in history.series(told) if _is_one(told, one)})
    if group:
        chosen = _group(history, told, group)
        found = [one for one in found if one in chosen]
    if not found:
        raise UsageError(f"{FIELD}: {text} is empty", field=FIELD, hint=f"`gapless fill {word} …` makes it a set")
    return found


def _dataset(history: Gapless, name: str) -> Dataset:
    try:
        return history.dataset(name)
    except UsageError as error:
        raise UsageError(error.message.replace("dataset:", f"{FIELD}:"), field=FIELD, hint=error.hint) from None


def _is_one(dataset: Dataset, name: str) -> bool:
    """Whether a series is about one thing: the listing of a whole market is not."""
    return dataset.directory is None or dataset.directory.translates(name)


def _group(history: Gapless, dataset: Dataset, name: str) -> set[str]:
    grouping = dataset.grouping
    if grouping is None or name not in grouping.names:
        known = ", ".join(grouping.names) if grouping else ""
        hint = f"give one of: {known}" if known else f"{dataset.name} has no groups; leave `:{name}` out"
        raise UsageError(f"{FIELD}: {dataset.name} has no group {name!r}", field=FIELD, hint=hint)
    told = _told(history, grouping)
    if not told:
        raise UsageError(
            f"{FIELD}: nothing is stored that tells who is {name}",
            field=FIELD,
            hint=f"{grouping.dataset} does: `{grouping.fill}` first",
        )
    return {key for key, value in told.items() if value == grouping.names[name]}


def _told(history: Gapless, grouping: Grouping) -> dict[str, str]:
    dataset = history.dataset(grouping.dataset)
    with history.store.read() as tx:
        return rows.latest_values(tx, dataset, grouping.key, grouping.column)
