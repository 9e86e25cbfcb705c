"""Measurements: each number beside a limit that was measured in the same run. Never a test."""
