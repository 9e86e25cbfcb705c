"""Databases, factories and suites for tests; never imported by the product."""
