"""Upbit, played: candles of seeded markets with the real parameters, errors and limits."""
