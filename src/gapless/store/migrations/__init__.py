"""The schema as steps. A released step is never edited."""
