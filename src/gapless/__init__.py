"""gapless keeps the history of financial series complete."""
