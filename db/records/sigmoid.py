"""The score that people see, computed from a logit. Imports next to nothing, so that help answers at once."""

from math import exp


def sigmoid(logit: float) -> float:
    """1 / (1 + e^-logit) in double precision, for any finite logit."""
    if logit < -700:
        return 0.0
    return 1.0 / (1.0 + exp(-logit))
