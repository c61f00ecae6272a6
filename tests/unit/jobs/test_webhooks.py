"""Messages signed as Standard Webhooks has it."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from modelway.domain.errors import BadValue
from modelway.jobs.webhooks import secrets_of, signed

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def written(folder: Path, text: str) -> str:
    path = folder / "secret"
    path.write_text(text)
    return str(path)


def test_the_example_of_the_standard_has_its_signature(tmp_path: Path) -> None:
    secrets = secrets_of(written(tmp_path, SECRET + "\n"))
    at = datetime.fromtimestamp(1614265330.9, UTC)
    headers = signed(secrets, "msg_p5jXN8AQM9LWM0D4loKWxJek", at, b'{"test": 2432232314}')
    assert headers == {
        "content-type": "application/json",
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_each_secret_signs_the_newest_first(tmp_path: Path) -> None:
    newer = "whsec_" + base64.b64encode(bytes(32)).decode()
    both = secrets_of(written(tmp_path, f"\n{newer}\r\n \n  {SECRET}\n\n"))
    assert both == [bytes(32), base64.b64decode(SECRET.removeprefix("whsec_"))]
    at = datetime.fromtimestamp(1614265330, UTC)

    def signature(secrets: Sequence[bytes]) -> str:
        return signed(secrets, "msg_p5", at, b"{}")["webhook-signature"]

    assert signature(both) == f"{signature(both[:1])} {signature(both[1:])}"


@pytest.mark.parametrize(
    "text",
    [
        SECRET.removeprefix("whsec_"),
        "whsec_not base64",
        "whsec_" + base64.b64encode(bytes(23)).decode(),
        "whsec_" + base64.b64encode(bytes(65)).decode(),
        "\u00e4",
        "",
    ],
)
def test_what_is_no_secret_is_a_fault_of_the_settings(tmp_path: Path, text: str) -> None:
    with pytest.raises(BadValue, match=r"jobs\.callback_secret"):
        secrets_of(written(tmp_path, text))


def test_the_line_that_is_no_secret_is_named_and_not_shown(tmp_path: Path) -> None:
    path = written(tmp_path, f"{SECRET}\n\nwhsec_hunter2\n")
    with pytest.raises(BadValue, match=rf"line 3 of {re.escape(path)}") as refused:
        secrets_of(path)
    assert "hunter2" not in refused.value.message


def test_without_a_secret_nothing_is_called(tmp_path: Path) -> None:
    with pytest.raises(BadValue, match="there is no secret"):
        secrets_of("")
    with pytest.raises(BadValue, match="there is no secret in"):
        secrets_of(written(tmp_path, "\n \n"))
    with pytest.raises(BadValue, match="cannot be read"):
        secrets_of(str(tmp_path / "absent"))
