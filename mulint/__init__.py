"""mulint: finds, measures and repairs departures from the Maximal Update Parametrization (μP)."""

__version__ = "0.1.0"
