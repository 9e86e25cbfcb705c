"""What can be wrong with stored records: rules as pure functions of frames."""

from gapless.core.rules.finding import Finding, Level, Severity, gathered, score
from gapless.core.rules.listed import RULES, check
from gapless.core.rules.scene import Scene

__all__ = ["RULES", "Finding", "Level", "Scene", "Severity", "check", "gathered", "score"]
