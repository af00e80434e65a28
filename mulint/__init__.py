"""mulint: finds, measures and repairs departures from the Maximal Update Parametrization (μP)."""

from mulint.case import Case as Case

__version__ = "0.1.0"
__all__ = ["Case"]
