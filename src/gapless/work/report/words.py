"""The words of reports in both languages."""

from __future__ import annotations

from enum import StrEnum


class Language(StrEnum):
    """Languages of reports."""

    EN = "en"
    KO = "ko"


_WORDS: dict[str, tuple[str, str]] = {
    "report": ("Report", "보고서"),
    "period": ("Period", "기간"),
    "made": ("Made", "작성"),
    "completeness": ("Completeness", "완전성"),
    "statistics": ("Statistics", "통계"),
    "gaps": ("Gaps", "빈 구간"),
    "findings": ("Findings", "검증 결과"),
    "path": ("Path", "추이"),
    "components": ("Components", "구성 요소"),
    "present": ("present", "있음"),
    "empty": ("empty", "원래 없음"),
    "missing": ("missing", "누락"),
    "quarantined": ("given up", "포기"),
    "unavailable": ("unavailable", "제공 안 됨"),
    "first": ("first", "시작"),
    "last": ("last", "끝"),
    "low": ("lowest", "최저"),
    "high": ("highest", "최고"),
    "mean": ("mean", "평균"),
    "volume": ("volume", "거래량"),
    "column": ("field", "항목"),
    "count": ("count", "개수"),
    "deviation": ("deviation", "표준편차"),
    "least": ("least", "최소"),
    "greatest": ("greatest", "최대"),
    "word": ("word", "상태"),
    "start": ("start", "시작"),
    "end": ("end", "끝"),
    "cells": ("periods", "칸"),
    "note": ("note", "비고"),
    "rule": ("rule", "규칙"),
    "severity": ("severity", "심각도"),
    "evidence": ("evidence", "근거"),
    "error": ("error", "오류"),
    "warning": ("warning", "경고"),
    "whole": ("whole", "전체"),
    "no gaps": ("There is nothing that has no row.", "빈 구간이 없습니다."),
    "no findings": ("A validation found nothing.", "검증에서 아무것도 발견되지 않았습니다."),
    "not validated": (
        "Nobody has validated this span yet: gapless validate",
        "아직 검증하지 않은 구간입니다: gapless validate",
    ),
    "no rows": ("There are no rows in this period.", "이 기간에는 데이터가 없습니다."),
    "many rows": ("Each time has many records; nothing is drawn.", "한 시각에 기록이 여럿이라 그리지 않습니다."),
    "and more": ("more in the ledger", "개는 장부에 더 있습니다"),
    "of periods answered": ("of the periods are answered for", "의 칸이 확인되었습니다"),
}


def word(key: str, language: Language) -> str:
    """A word in a language."""
    return _WORDS[key][0 if language is Language.EN else 1]
