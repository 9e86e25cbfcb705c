"""Simulated providers: real HTTP servers that play a source with seeded, reproducible data, limits and faults."""
