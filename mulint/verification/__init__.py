"""Proves a patch: the same model at the base, bit for bit, and the invariants at other widths."""

from mulint.verification.certificate import Certificate, Detail, for_changing
from mulint.verification.certifying import certify

__all__ = ["Certificate", "Detail", "certify", "for_changing"]
