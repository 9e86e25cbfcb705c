"""Values and arithmetic: no disk, no network, no clock of its own, nothing of ours above it."""
