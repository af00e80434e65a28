"""The parametrization: roles, gauge algebra, optimizer families and policies, as data and pure functions.

The one source of exponents for check, trace, fix and the documentation. Everything is exact (``Fraction``).
"""

from mulint.theory.formulas import Exponent, law, ratio_power
from mulint.theory.gauge import (
    Gauge,
    Kind,
    attention_scale_exponent,
    init_departure,
    required_init,
    required_update,
    root_scale_exponent,
    table,
    table_3,
    table_8,
    table_9,
    update_departure,
)
from mulint.theory.initialisation import init_std_exponent
from mulint.theory.optimizers import (
    Decay,
    EmbeddingPolicy,
    EpsilonPolicy,
    Optimizer,
    Policies,
    Shape,
    WeightDecayPolicy,
    known_names,
    lookup,
)
from mulint.theory.roles import Role, role_of

__all__ = [
    "Decay",
    "EmbeddingPolicy",
    "EpsilonPolicy",
    "Exponent",
    "Gauge",
    "Kind",
    "Optimizer",
    "Policies",
    "Role",
    "Shape",
    "WeightDecayPolicy",
    "attention_scale_exponent",
    "init_departure",
    "init_std_exponent",
    "known_names",
    "law",
    "lookup",
    "ratio_power",
    "required_init",
    "required_update",
    "role_of",
    "root_scale_exponent",
    "table",
    "table_3",
    "table_8",
    "table_9",
    "update_departure",
]
