"""A simulated KRX Open API: whole markets, one day a call."""
