"""The width exponent of what torch's init functions and default constructors draw.

Source: the fans that torch computes (``torch.nn.init._calculate_fan_in_and_fan_out``) and its documented
formulas; measured in the tests.
"""

from __future__ import annotations

from fractions import Fraction

from mulint.theory.formulas import Exponent


def init_std_exponent(
    function: str,
    *,
    fan_in_exponent: Exponent,
    fan_out_exponent: Exponent,
    ndim: int = 2,
    mode: str = "fan_in",
    std_exponent: Exponent = Fraction(0),
) -> Exponent:
    """The exponent of the std of a tensor's entries after one call.

    Args:
        function: the name in ``torch.nn.init``, with its trailing underscore.
        fan_in_exponent: growth of the contracted size, in torch's layout (dimension 1).
        fan_out_exponent: growth of the produced size (dimension 0).
        ndim: number of dimensions; a third one is read by torch as a kernel of the first two fans.
        mode: the ``mode`` argument of the kaiming functions.
        std_exponent: growth of the scale, or gain, that the call is given.
    """
    del ndim
    name = function.rstrip("_")
    if name.startswith("kaiming"):
        fan = fan_out_exponent if mode == "fan_out" else fan_in_exponent
    elif name.startswith("xavier") or name == "orthogonal":
        fan = max(fan_in_exponent, fan_out_exponent)
    else:
        return std_exponent
    return std_exponent - fan / 2
