"""How hard the properties try: a little in every run, twenty times as much under torture.

`SALESFLOW_TORTURE=20` multiplies every number of examples (the profile `torture` of Hypothesis
stands for twenty). Without it examples are the same in every run.
"""

import os
from collections import Counter

from hypothesis import HealthCheck, Phase, settings

__all__ = ["TALLY", "examples"]

TORTURE = int(
    os.environ.get("SALESFLOW_TORTURE")
    or {"torture": 20}.get(os.environ.get("HYPOTHESIS_PROFILE", ""), 1)
)
TALLY: Counter[str] = Counter()
"""What was tried in this run, for the last lines of the report."""


def examples(count: int, *, shrink: bool = True) -> settings:
    """Give settings for so many examples in a common run."""
    phases = (Phase.explicit, Phase.generate, Phase.shrink)
    return settings(
        max_examples=count * TORTURE,
        deadline=None,
        derandomize=TORTURE == 1,
        database=None,
        print_blob=False,
        suppress_health_check=list(HealthCheck),
        phases=phases if shrink else phases[:2],
    )
