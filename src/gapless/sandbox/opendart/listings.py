"""The simulated companies: planted ones, each with one peculiarity, then as many drawn ones as wanted.

Chosen, because the notes are silent: a company appears in corpCode.xml some years before its listing; KONEX companies
file annual reports only; of the unlisted companies some file periodic reports, most do not; SPACs and foreign issuers
file them, but have no dividend table.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import msgspec

from gapless.sandbox.opendart.companies import Class, Company, Correction, Late, Odd, Pays, Split, World
from gapless.sandbox.opendart.dates import ANNUAL, FIRST, HALF, LAST, NEVER, QUARTER, REPORTS, THREE_QUARTERS
from gapless.sandbox.opendart.dividends import OLDEST
from gapless.sandbox.opendart.oddities import ALONE, LASTING, ODDITIES

SEED = 20_261_121
#: How many there are, and how many of them are listed, where nothing else is said.
COMPANIES, LISTED = 3_000, 2_600
#: The least number gives every oddity its two companies.
FEWEST, MOST = 120, 10_000
#: Drawn companies are listed or registered in these years.
YEARS = range(1995, 2025)
#: Share of reports that are corrected, and of those that are late, in the order of REPORTS.
CORRECTED = (0.015, 0.015, 0.015, 0.06)
LATE = (0.005, 0.005, 0.005, 0.03)
CLASSES: tuple[Class, ...] = ("Y", "K", "N")
PAYS: tuple[Pays, ...] = ("never", "annual", "interim", "quarterly", "sometimes")

_TRUE = {2018: 1_416, 2019: 1_416, 2020: 2_994, 2021: 1_444, 2022: 1_444, 2023: 1_444, 2024: 1_446, 2025: 1_668}
#: What is special about each planted company; the drawn ones have their share of everything.
_ROLES: dict[str, dict[str, Any]] = {
    # The dividends of 2018 to 2025 and of the first quarter of 2026 (372 won) are the true ones.
    "samsung": {
        "name": "삼성전자",
        "code": "00126380",
        "stock": "005930",
        "preferred": "005935",
        "pays": "quarterly",
        "face": 100,
        "split": Split(2018, 50, True),
        "known": (*_TRUE.items(), (2026, 1_488)),
    },
    "twin_listed": {"name": "한강상사"},
    "twin_unlisted": {"name": "한강상사", "stock": "", "market": "E", "listed": NEVER, "files": True},
    "delisted": {"name": "옛터산업", "stock": "309000", "delisted": 20_190_515, "heir": 20_210_707},
    "heir": {"name": "새터산업", "stock": "309000", "registered": 20_180_305, "listed": 20_210_707},
    "listed_late": {"name": "늦봄바이오", "market": "K", "registered": 20_160_104, "listed": 20_190_614},
    "alphanumeric": {"name": "새별로보틱스", "stock": "0004V0", "registered": 20_210_208, "listed": 20_240_718},
    "renamed": {"name": "온누리홀딩스", "renamed": (20_200_401, "온누리기계")},
    "closes_march": {"name": "봄빛증권", "closes": 3},
    "closes_june": {"name": "여름제약", "closes": 6, "pays": "interim"},
    "late": {"name": "느린화학", "late": (Late(2021, ANNUAL, 20), Late(2023, HALF, 33))},
    "corrected": {
        "name": "고친전기",
        "corrected": (Correction(2020, ANNUAL, 80, 90), Correction(2022, THREE_QUARTERS, 30, 100)),
    },
    "corrected_twice": {
        "name": "거듭식품",
        "pays": "quarterly",
        "corrected": (
            Correction(2019, ANNUAL, 40, 110),
            Correction(2019, ANNUAL, 150, 95),
            Correction(2021, QUARTER, 60, 80),
        ),
    },
    # The annual report after it still tells the old value.
    "corrected_after_next": {"name": "뒤늦은물산", "corrected": (Correction(2018, ANNUAL, 430, 80),)},
    "drifts": {"name": "슬쩍건설", "drifts": ((2018, 105), (2020, 90))},
    "split_restated": {"name": "나눈금속", "split": Split(2019, 10, True)},
    "split_as_stated": {"name": "나눈유리", "split": Split(2019, 10, False)},
    "preferred": {"name": "두배지주", "stock": "308880", "preferred": "308885", "pays": "interim"},
    "spac": {"name": "기업인수목적1호", "sort": "spac", "pays": "never", "listed": 20_180_601},
    "foreign": {"name": "이스트링크", "sort": "foreign", "pays": "never", "stock": "900300"},
    "never": {"name": "안주는전자", "market": "K", "pays": "never"},
    "konex": {"name": "작은정밀", "market": "N", "listed": 20_170_301},
    "unlisted": {"name": "담밖의회사", "stock": "", "market": "E", "listed": NEVER},
}
PLANTED = {
    role: Company(
        **{
            "index": index,
            "code": f"009000{index:02d}",
            "english": role.replace("_", " ").upper(),
            "stock": f"30{index:03d}0",
            "market": "Y",
            "listed": 20_000_103,
            "pays": "annual",
            **special,
        }
    )
    for index, (role, special) in enumerate(_ROLES.items())
}
#: Each oddity has two companies of its own, the first that are drawn.
SHOWN_OFF = [name for name in ODDITIES for _ in range(2)]

_FIRST = (
    "가온",
    "나래",
    "다솜",
    "라온",
    "마루",
    "바른",
    "사람",
    "아침",
    "자연",
    "차오름",
    "큰별",
    "튼튼",
    "푸른",
    "하늘",
    "한빛",
    "해오름",
    "새롬",
    "미리내",
    "누리",
    "도담",
    "동방",
    "서진",
)
_MIDDLE = ("대", "신", "금", "은", "청", "백", "현", "진", "성", "원", "태", "유", "삼", "영", "우")
_LAST = (
    "전자",
    "화학",
    "제약",
    "건설",
    "식품",
    "기계",
    "철강",
    "통신",
    "에너지",
    "바이오",
    "소재",
    "물산",
    "해운",
    "조선",
    "테크",
    "시스템",
)
_NAMES = len(_FIRST) * len(_MIDDLE) * len(_LAST)


def world(seed: int = SEED, companies: int = COMPANIES) -> World:
    """The planted companies and drawn ones; raises `ValueError` for too few or too many."""
    if not FEWEST <= companies <= MOST:
        raise ValueError(f"companies: from {FEWEST} to {MOST:,}")
    rng = Random(f"{seed}/companies")
    drawn = [_drawn(rng, index) for index in range(len(PLANTED), companies)]
    return World(seed, [*PLANTED.values(), *drawn])


def _drawn(rng: Random, index: int) -> Company:
    listed, since = index < LISTED, rng.choice(YEARS)
    stock = f"{index * 11 % 28_000 + 1_000:05d}0"
    if since == YEARS[-1]:
        # The newest codes have a letter.
        stock = f"{index % 10_000:04d}{'AKW'[index % 3]}0"
    company = Company(
        index=index,
        code=f"{(index * 7_919 + 100_003) % 800_000 + 1_000:08d}",
        name=_name(index),
        english=f"COMPANY {index}",
        stock=stock if listed else "",
        preferred=f"{stock[:5]}5" if listed and rng.random() < 0.06 else "",
        market=rng.choices(CLASSES, (32, 64, 4))[0] if listed else "E",
        closes=rng.choices((12, 3, 6, 9), (94, 3, 2, 1))[0],
        registered=(since - rng.randint(1, 5)) * 10_000 + 100 + rng.randint(2, 28),
        listed=since * 10_000 + rng.randint(1, 12) * 100 + rng.randint(1, 28) if listed else NEVER,
        files=not listed and rng.random() < 0.2,
        sort="spac" if listed and rng.random() < 0.02 else "firm",
        pays=rng.choices(PAYS, (35, 45, 6, 4, 10))[0],
        face=rng.choice((100, 500, 500, 1_000, 5_000)),
    )
    nth = index - len(PLANTED)
    if nth < len(SHOWN_OFF):
        return _shown_off(company, SHOWN_OFF[nth])
    return msgspec.structs.replace(company, **_events(rng, company))


def _shown_off(company: Company, name: str) -> Company:
    """A company that has had one oddity for ever, and nothing that could hide it."""
    return msgspec.structs.replace(
        company,
        market="Y",
        registered=20_000_103,
        listed=20_050_103,
        closes=12,
        sort="firm",
        pays="annual",
        preferred="" if name in ALONE else f"{company.stock[:5]}5",
        oddities=(Odd(name, OLDEST, LAST),),
    )


def _events(rng: Random, company: Company) -> dict[str, Any]:
    """What happens to it: late and corrected reports, drifting values, odd years, a split, an end."""
    events: dict[str, Any] = {
        "late": tuple(Late(*which, rng.randint(1, 60)) for which in _some(rng, LATE)),
        "corrected": tuple(
            Correction(*which, rng.randint(5, 480), rng.choice((100, 100, 80, 90, 95, 105, 110, 125)))
            for which in _some(rng, CORRECTED)
        ),
        "drifts": tuple(
            (year, rng.choice((90, 95, 105, 110))) for year in range(FIRST, LAST + 1) if rng.random() < 0.02
        ),
    }
    if rng.random() < 0.05:
        name, first, years = rng.choice(list(ODDITIES)), rng.randint(2_014, 2_022), rng.choice((0, 2, 20))
        odd = Odd(name, OLDEST, LAST) if name in LASTING else Odd(name, first, first + years)
        events["oddities"] = (odd,)
        events |= {"preferred": ""} if name in ALONE else {}
    if rng.random() < 0.03:
        events["split"] = Split(rng.randint(2_014, 2_024), rng.choice((2, 5, 10)), rng.random() < 0.5)
    if company.stock and rng.random() < 0.06:
        year = rng.randint(max(company.listed // 10_000 + 2, 2_014), 2_028)
        events["delisted"] = year * 10_000 + 500 + rng.randint(2, 28)
    return events


def _some(rng: Random, chances: tuple[float, ...]) -> Iterator[tuple[int, str]]:
    for year in range(FIRST, LAST + 1):
        for report, chance in zip(REPORTS, chances, strict=True):
            if rng.random() < chance:
                yield year, report


def _name(index: int) -> str:
    """Every combination once, then with a number; neighbours share nothing."""
    again, place = divmod(index, _NAMES)
    at = place * 1_009 % _NAMES
    parts = (
        _FIRST[at % len(_FIRST)],
        _MIDDLE[at // len(_FIRST) % len(_MIDDLE)],
        _LAST[at // len(_FIRST) // len(_MIDDLE)],
    )
    return "".join(parts) + (str(again + 1) if again else "")
