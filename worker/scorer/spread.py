"""Whether logits tell pairs apart at all. A model that gives unlike pairs the same one ranks by chance."""

import math
from collections.abc import Iterable

# Logits no further apart than this, relative to those beyond 1, differ by rounding.
LEAST_SPREAD = 1e-3


def is_spread(logits: Iterable[float]) -> bool:
    """Whether the logits of unlike pairs differ by more than rounding; yes where fewer than two are known."""
    finite = [logit for logit in logits if math.isfinite(logit)]
    if len(finite) < 2:
        return True
    return max(finite) - min(finite) > LEAST_SPREAD * max(1.0, *map(abs, finite))
