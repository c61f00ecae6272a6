"""A rule and no machine learning: is a cow in heat, from what its collar measures."""


def is_in_heat(activity_ratio: float, rumination_min: float, days_since_last: int) -> bool:
    """Whether the cow is in heat.

    ``activity_ratio`` is today's activity over the mean of the last ten days, ``rumination_min``
    minutes of rumination today, ``days_since_last`` days since the last heat.
    """
    due = 18 <= days_since_last <= 24 or days_since_last >= 38
    return activity_ratio >= (1.6 if due else 2.2) and rumination_min < 420
