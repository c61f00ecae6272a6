"""While models are opened: alive, and not ready in each protocol's words."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from modelway.rest.http import Request, Response
from modelway.rest.starting import Starting
from modelway.settings import RestSettings


def answer(path: str, prefix: str = "", method: str = "GET", sagemaker: str = "") -> Response:
    request = Request("id", method, path, headers={})
    settings = RestSettings(prefix=prefix, sagemaker=sagemaker)
    return asyncio.run(Starting(settings).answer(request))


@pytest.mark.parametrize("path", ["/health/live", "/v2/health/live"])
def test_it_is_alive(path: str) -> None:
    assert (answer(path).status, answer(path).body) == (200, b'{"live":true}')
    assert answer("/ml" + path, "/ml").status == 200
    assert answer(path, "/ml").status == 503


@pytest.mark.parametrize(
    ("path", "key"),
    [
        *(("/predict", "code"), ("/health/ready", "code"), ("/v2/health/ready", "error")),
        *(("/v1/models/a", "error"), ("/ping", "error_code"), ("/invocations", "error_code")),
    ],
)
def test_it_is_not_ready(path: str, key: str) -> None:
    response = answer(path, method="POST")
    assert response.status == 503
    assert response.headers == b"retry-after: 1\r\n"
    said: Any = msgspec.json.decode(response.body)
    assert key in said


def test_a_platform_is_told_in_its_own_words_at_models_too() -> None:
    said: Any = msgspec.json.decode(answer("/models", method="POST", sagemaker="/opt/models").body)
    assert "error_code" in said
    said = msgspec.json.decode(answer("/models", method="POST").body)
    assert "code" in said
