"""What is done to each number by itself, right to a few units in the last place."""

import math
from collections.abc import Callable

from wavedil.engine.vectors import Value

X = Value


def _polynomial(x: X, *coefficients: float) -> X:
    """Highest power first."""
    value: X = x * 0.0 + coefficients[0]
    for coefficient in coefficients[1:]:
        value = value.times(x, coefficient)
    return value


def tanh(x: X) -> X:
    """A rational function of degrees 13 and 6, between the points where tanh is -1 and 1 in float32."""
    x = x.clipped(-7.90531110763549805, 7.90531110763549805)
    p = _polynomial(
        x * x, -2.76076847742355e-16, 2.00018790482477e-13, -8.60467152213735e-11,
        5.12229709037114e-08, 1.48572235717979e-05, 6.37261928875436e-04, 4.89352455891786e-03,
    )  # fmt: skip
    q = _polynomial(
        x * x,
        1.19825839466702e-06,
        1.18534705686654e-04,
        2.26843463243900e-03,
        4.89352518554385e-03,
    )
    return x * p / q


def sigmoid(x: X) -> X:
    """1 / (1 + exp(-x)) = (1 + tanh(x / 2)) / 2."""
    return tanh(x * 0.5).times(0.5, 0.5)


def exp(x: X) -> X:
    """Exponential: x = n log(2) + r with |r| <= log(2) / 2 gives 2^n times a polynomial of r; 0 below -87."""
    limited = x.clipped(-87.0, 88.0)
    n = (limited * 1.44269504088896341).call("rint")
    # log(2) in two parts, so that the product with n is exact.
    r = n.times(2.12194440e-4, n.times(-0.693359375, limited))
    p = _polynomial(
        r, 1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1,
        5.0000001201e-1,
    )  # fmt: skip
    return x.where_below(-87.0, 0.0, p.times(r * r, r + 1.0) * n.power_of_two())


def gelu(x: X) -> X:
    """x times about the normal distribution's share below x."""
    return x * (tanh((x * x * x * 0.044715 + x) * math.sqrt(2.0 / math.pi)) + 1.0) * 0.5


def fast_tanh(x: X) -> X:
    """The rational function near tanh of amp models."""
    size, square = x.call("fabs"), x * x
    above = size.times(2.45550750702956, 2.45550750702956)
    above = x * size.times(0.821226666969744, 0.893229853513558).times(square, above)
    below = (square + 2.44506634652299) * (x * size).times(0.814642734961073, x).call("fabs")
    return above / (below + 2.44506634652299)


def bent(x: X, below: X, above: X, low: X, high: X) -> X:
    """x between two limits, straight on beyond them with two slopes: leaky ReLU, and leaky hard tanh."""
    inside = x.clipped(low, high)
    beyond = x - inside
    return beyond.where_below(0.0, below, above).times(beyond, inside)


def blend(x: X, share: X, straight: X) -> X:
    """share x + (1 - share) straight."""
    return share.times(x - straight, straight)


ACTIVATIONS: dict[str, Callable[[X], X]] = {
    "tanh": tanh,
    "sigmoid": sigmoid,
    "relu": lambda x: x.where_below(0.0, 0.0, x),
    "silu": lambda x: x * sigmoid(x),
    "softsign": lambda x: x / (x.call("fabs") + 1.0),
    "identity": lambda x: x,
    "gelu": gelu,
    "hardtanh": lambda x: x.clipped(-1.0, 1.0),
    "hardswish": lambda x: x * (x + 3.0).clipped(0.0, 6.0) * (1.0 / 6.0),
    "fast_tanh": fast_tanh,
}
"""Name -> the function of one number."""

POINTWISE: dict[str, Callable[..., X]] = {
    **ACTIVATIONS,
    "gate": lambda x, y: tanh(x) * sigmoid(y),
    "multiply": lambda x, y: x * y,
    "add": lambda x, y: x + y,
    "blend": blend,
    "bent": bent,
}
"""Every operator of a plan on numbers by themselves; one more is one more line."""
