"""One article has one key, however its address was passed on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gapless.core.address import canonical, publisher


@pytest.mark.parametrize(
    "passed_on",
    [
        "https://www.hankyung.com/article/2024010100001",
        "HTTP://WWW.Hankyung.com:80/article/2024010100001/",
        "https://www.hankyung.com/article/2024010100001?utm_source=naver&utm_medium=x&fbclid=1#comments",
        "https://www.hankyung.com/article/2024010100001/amp",
        "https://www.hankyung.com/amp/article/2024010100001",
        "https://m.www.hankyung.com/article/2024010100001?outputType=amp",
    ],
)
def test_ways_to_pass_an_article_on_have_one_key(passed_on):
    """Otherwise the same article would be counted as often as it was shared."""
    assert canonical(passed_on) == "https://www.hankyung.com/article/2024010100001"


@pytest.mark.parametrize(
    "face",
    [
        "https://n.news.naver.com/mnews/article/005/0001234567?sid=101",
        "https://n.news.naver.com/article/005/0001234567",
        "https://news.naver.com/main/read.naver?mode=LSD&oid=005&aid=0001234567",
        "https://finance.naver.com/item/news_read.naver?article_id=0001234567&office_id=005&code=005930",
        "https://n.news.naver.com/mnews/article/comment/005/0001234567",
    ],
)
def test_the_number_of_naver_counts(face):
    """Naver shows an article under many addresses; office and article number are what tells it."""
    assert canonical(face) == "https://n.news.naver.com/mnews/article/005/0001234567"


def test_parameters_that_name_the_article_stay():
    """Many Korean papers have the number of the article in the query."""
    one = canonical("https://paper.kr/view.php?no=7&sec=eco&utm_campaign=a")
    assert one == canonical("https://paper.kr/view.php?sec=eco&no=7")
    assert one != canonical("https://paper.kr/view.php?sec=eco&no=8")


def test_what_is_no_web_address_is_left_alone():
    """A key of something odd is better than an error that stops the page."""
    assert canonical(" mailto:a@b.kr ") == "mailto:a@b.kr"
    assert canonical("http://[oops/") == "http://[oops/"
    assert publisher("http://[oops/") == ""


def test_the_publisher_is_a_host_without_www():
    assert publisher("https://www.mk.co.kr/news/1") == "mk.co.kr"
    assert publisher("https://m.etnews.com/1") == "etnews.com"


_HOSTS = st.sampled_from(["a.kr", "WWW.b.com", "m.c.co.kr", "amp.d.net", "n.news.naver.com", "m.amp.e.kr", "한겨레.kr"])
_PATHS = st.text(st.sampled_from("/amp.html%20가-_~?#=&5"), max_size=20).map(lambda text: "/" + text)


@given(_HOSTS, _PATHS, st.dictionaries(st.sampled_from(["no", "utm_x", "oid", "ref", "b"]), st.text(max_size=4)))
def test_a_key_is_its_own_key(host, path, asked):
    """So that keys can be compared with keys, and made anew without harm."""
    query = "&".join(f"{name}={value}" for name, value in asked.items())
    key = canonical(f"https://{host}{path}?{query}")
    assert canonical(key) == key
