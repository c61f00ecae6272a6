"""A rule: is a cow in heat?"""


def is_in_heat(activity_ratio: float, breed: str | None = None) -> bool:
    """Whether the cow is in heat, by its activity today over that of the last days."""
    return activity_ratio >= (1.6 if breed == "Jersey" else 2.2)
