"""What a company was worth at the moment of an event, as far as could be known then.

Pure and vectorised: all events of a company at once. Only records whose moment of publication lies *before* the event
enter a value; returns after the event are outcomes, not values. Each value names the dates of its inputs, each missing
one its reason. Instants are `Datetime("us", "UTC")`, days `Date`.
"""

from gapless.core.valuation.inputs import Inputs
from gapless.core.valuation.value import VALUES, value

__all__ = ["VALUES", "Inputs", "value"]
