"""Numbers and nouns for messages."""

from __future__ import annotations


def counted_word(number: int, noun: str) -> str:
    """`1 span`, `2 spans`, `1,000 spans`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
