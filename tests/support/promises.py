"""What an OpenAPI document promises: requests made from it, and whether answers keep to it."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings


def _at_the_calendars_end(response: Any) -> bool:
    """Whether all that is wrong are moments in the year 1 or 9999 of their own place."""
    if response.status_code != 422:
        return False
    faults = response.json().get("errors", [])
    return bool(faults) and all(str(one["received"])[1:5] in ("0001", "9999") for one in faults)


def _is_of_another(case: Any, response: Any) -> bool:
    """Whether a job is refused for what no schema can say: who may be called, which keys came."""
    if response.status_code != 422:
        return False
    code, headers = response.json()["code"], case.headers
    return (code == "callback-refused" and "modelway-callback" in headers) or (
        code == "idempotency-key-reused" and "idempotency-key" in headers
    )


def check_promises(operation: Any, started: int, examples: int) -> int:
    """What fits the schema of an operation is answered, and answers fit theirs; gives how many.

    ``started`` is the seed of what is drawn.
    """
    sent = 0

    @seed(started)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy())
    def promised(case: Any) -> None:
        nonlocal sent
        sent += 1
        response = case.call(timeout=20)
        assert str(response.status_code) in operation.definition.raw["responses"], response.text
        # JSON Schema cannot say what a line of CSV is, so not every text of that type fits, nor
        # that an offset must not lead out of the calendar's first and last year.
        if response.status_code == 504:
            assert response.json()["code"] == "deadline-exceeded"
            assert "modelway-timeout-ms" in case.headers
        elif (
            case.media_type == "text/csv"
            or _at_the_calendars_end(response)
            or _is_of_another(case, response)
        ):
            assert response.status_code < 500
        else:
            case.validate_response(response)

    promised()
    return sent
