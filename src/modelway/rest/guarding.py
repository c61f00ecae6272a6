"""Routes that ask who calls before they answer, by the table of what each needs.

Not those of predictions: there the data plane asks, once a request, whichever way it comes.
"""

from __future__ import annotations

from modelway.access.admitting import Keys
from modelway.access.routes import RULES, Concerns, Door, Rule, rule_of
from modelway.inference.ports import Router
from modelway.rest.http import Answer, Headers, Request, Response
from modelway.rest.routes import Route


def guarded(path: str, route: Route, keys: Keys, router: Router) -> Route:
    """The route with every answer behind what it needs; ``path`` is without a prefix."""
    answers = {
        method: _asking(answer, rule, keys, router)
        for method, answer in route.answers.items()
        if (rule := _rule(method, path, router)).scopes is not None and not rule.is_inference
    }
    return Route(**{**route.answers, **answers}) if answers else route


def _rule(method: str, path: str, router: Router) -> Rule:
    """What a path needs; one that has an endpoint's own name in it, what that of any other does."""
    parts = path.split("/")
    if (Door.HTTP, method, path) not in RULES and "models" in parts[:-1]:
        place = parts.index("models") + 1
        if parts[place] in router.endpoints():
            parts[place] = "{name}"
    return rule_of(Door.HTTP, method, "/".join(parts))


def _asking(answer: Answer, rule: Rule, keys: Keys, router: Router) -> Answer:
    async def asked(request: Request) -> Response:
        endpoint = None
        if rule.concerns is Concerns.ENDPOINT:
            endpoint = request.captures.get("name") or router.default()
        keys.admit(rule, endpoint, Headers(request.headers))
        return await answer(request)

    return asked
