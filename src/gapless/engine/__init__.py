"""Decides and acts: jobs, the runner, the embedded engine, budgets, recovery, progress."""
