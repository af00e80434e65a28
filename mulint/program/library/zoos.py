"""Whole models from libraries: their weights are not seen, but every role is among them."""

from __future__ import annotations

import re
from functools import cache

from mulint.program.dimensions import Dimension, Symbol
from mulint.program.numbers import Number
from mulint.program.records import Weight
from mulint.program.run import Arguments, Run
from mulint.program.values import Constant, ModuleValue, Tensor, Value

# Functions and classes that return a model of a size that their library knows.
_MODELS = re.compile(
    r"torchvision\.models\.(\w+\.)*[a-z?]\w*"
    r"|timm\.(models\.)?create_model"
    r"|transformers\.(models\.\w+\.)*(AutoModel\w*\.from_config"
    r"|(?!DataCollator|TF|Flax)[A-Z]\w*(Model|For[A-Z]\w+(?<!Output)))"
)
_PRETRAINED = ("pretrained", "weights")


@cache
def is_model(name: str) -> bool:
    """Whether an external name gives a model when it is called; ``?`` stands for a name chosen at run time."""
    return _MODELS.fullmatch(name) is not None


def construct(run: Run, name: str, arguments: Arguments) -> Value:
    """A model with one weight of every kind of role; a pretrained one has one width only, so nothing grows."""
    given = [arguments.keywords.get(key, Constant(None)) for key in _PRETRAINED]
    pretrained = any(isinstance(v, Constant) and v.value not in (None, False) for v in given)
    last = name.rpartition(".")[2].replace("?", "model")
    package = name.partition(".")[0]
    module = ModuleValue(None, arguments.site, container=name, level=run.uncertainty)
    growing = Number((Dimension.of(Symbol(f"{last}.width", arguments.site.path, kind="written")),))
    three = Number.of(3)
    width = three if pretrained else growing
    for role, dims in (("input", (width, three)), ("hidden", (width, width)), ("norm", (width,))):
        contracted = (1,) if len(dims) > 1 else ()
        weight = Weight(
            f"{role}.weight",
            arguments.site,
            last,
            dims,
            contracted,
            level=run.uncertainty,
            arms=run.arms,
            package=package,
        )
        run.seen.weights.append(weight)
        module.attributes[role] = Tensor(dims, open=False, weight=weight)
    return module
