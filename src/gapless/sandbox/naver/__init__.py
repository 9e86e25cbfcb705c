"""Naver's news search, played: both services, their keys, errors and quota, and lists that move while they are read."""
