"""Which URLs may be called."""

from __future__ import annotations

import pytest

from modelway.domain.errors import BadValue, CallbackRefused
from modelway.jobs.callbacks import AllowedUrls

ALLOWED = AllowedUrls(
    ["https://hooks.example.com/jobs", "http://10.0.0.7:8080", "https://[2001:db8::1]/a/"]
)


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example.com/jobs",
        "https://hooks.example.com/jobs/",
        "https://HOOKS.example.com:443/jobs/7?token=a%2Fb",
        "HTTPS://hooks.example.com/jobs?x=..",
        "http://10.0.0.7:8080",
        "http://10.0.0.7:8080/anything",
        "https://[2001:db8::1]/a/b",
        "https://hooks.example.com/jobs/..a;b/%E2%82%AC%2520c",
    ],
)
def test_what_is_at_a_prefix_or_below_may_be_called(url: str) -> None:
    ALLOWED.check(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.com/jobs",
        "https://hooks.example.com/jobsother",
        "https://hooks.example.com/",
        "https://hooks.example.com/Jobs",
        "https://hooks.example.com:8443/jobs",
        "https://hooks.example.com.evil.net/jobs",
        "https://hooks.example.com@evil.net/jobs",
        "https://a:b@hooks.example.com/jobs",
        "https://evil.net/https://hooks.example.com/jobs",
        "https://hooks.example.com/jobs/../admin",
        "https://hooks.example.com/jobs/%2e%2E/admin",
        "https://hooks.example.com/jobs/%252e%252e/admin",
        "https://hooks.example.com/jobs/..%2fadmin",
        "https://hooks.example.com/jobs/..\\admin",
        "https://hooks.example.com/jobs/..;/admin",
        "https://hooks.example.com/jobs/..;a=b/admin",
        "https://hooks.example.com/jobs/..%3b/admin",
        "https://hooks.example.com/jobs/%25252e%25252e/admin",
        "https://hooks.example.com/jobs/..%00/admin",
        "https://hooks.example.com/jobs/..%20/x",
        "https://hooks.example.com/jobs/%c0%ae%c0%ae/admin",
        "https://hooks.example.com/jobs#there",
        "https://hooks.example.com/jobs/a b",
        "https://hooks.example.com/jobs\r\nx: y",
        "https://hooks.example.com:99999/jobs",
        "https://hooks.example.com:0/jobs",
        "https://hooks.ex\u00e4mple.com/jobs",
        "http://10.0.0.7:80/",
        "http://0x0a000007:8080/",
        "https://hooks.example.com/jobs/" + "a" * 2048,
        "file:///etc/passwd",
        "//hooks.example.com/jobs",
        "https://",
        "",
    ],
)
def test_everything_else_is_refused(url: str) -> None:
    with pytest.raises(CallbackRefused):
        ALLOWED.check(url)


def test_where_nothing_is_allowed_nothing_is_called() -> None:
    with pytest.raises(CallbackRefused, match="no callbacks are allowed here"):
        AllowedUrls([]).check("https://hooks.example.com/jobs")


@pytest.mark.parametrize("prefix", ["hooks.example.com", "ftp://a/b", "https://a@b/", "https:///a"])
def test_what_is_no_prefix_is_a_fault_of_the_settings(prefix: str) -> None:
    with pytest.raises(BadValue, match=r"jobs\.callbacks"):
        AllowedUrls([prefix])


@pytest.mark.parametrize("secret", ["ann:hidden@", "hidden@"])
def test_what_is_secret_in_a_url_is_not_in_the_refusal(secret: str) -> None:
    for url in (
        f"https://{secret}other.example.com/x?token=hidden#hidden",
        "https://other.example.com/x?token=hidden",
    ):
        with pytest.raises(CallbackRefused) as refused:
            ALLOWED.check(url)
        assert "https://other.example.com/x'" in refused.value.message
        assert "hidden" not in refused.value.message
