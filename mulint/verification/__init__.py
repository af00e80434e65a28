"""Proves a patch: the same model at the base, bit for bit, and the invariants at other widths."""
