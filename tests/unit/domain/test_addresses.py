"""Addresses as people may see them."""

from __future__ import annotations

import pytest

from modelway.domain.addresses import without_passwords


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://ann:s3cret@db:5432/control", "postgresql://ann:***@db:5432/control"),
        ("mysql://ann:p@ss/w:rd,x@db/control", "mysql://ann:***@db/control"),
        (
            "postgresql://db/c?user=ann&password=s3cret&a=b",
            "postgresql://db/c?user=ann&password=***&a=b",
        ),
        ("s3://AKIA:s3cret@bucket/folder", "s3://AKIA:***@bucket/folder"),
        ("https://:s3cret@mlflow.example", "https://:***@mlflow.example"),
        ("https://a:b@one, https://c:d@two/x", "https://a:***@one, https://c:***@two/x"),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("sqlite:////tmp/a:b@c.db", "sqlite:////tmp/a:b@c.db"),
        ("old=http://h:80/v2/models/loan", "old=http://h:80/v2/models/loan"),
        ("json", "json"),
    ],
)
def test_a_password_is_hidden_and_nothing_else(text: str, shown: str) -> None:
    assert without_passwords(text) == shown
