"""Who may: keys on every door of ``modelway up``, cell by cell; TLS and CORS for real clients."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import grpc
import pytest

from modelway.access.keys import Scope
from modelway.access.routes import RULES, Asked, Door
from modelway.grpc import messages
from modelway.rest.uploads import REFERENCE
from support.canaries import controlled
from support.certificates import certificate_pair
from support.homes import HOME, Homes, Up, cli, copied, free_port, wait_until
from support.jobs import new_job
from support.live import Serve
from support.once import Once
from support.patience import promised
from support.trained import ROW, follow_tutorial

ORIGIN = "https://app.example.com"
NOBODY = "nobody"
REFUSED = {401, 403}
ELSEWHERE = {
    *(("POST", "/models"), ("DELETE", "/models/{name}")),
    ("POST", "/models/{name}/invoke"),
}
"""What only SageMaker's contract has: here it does nothing for anybody."""

ABSENT = ("{label}", "/uploads/{id}")
"""Paths of what is not there, also for who may ask."""

KNOWN_S = promised(2.0)
"""How long it takes at most until a key that was made or revoked is known everywhere."""

pytestmark = pytest.mark.services


@pytest.fixture(scope="session")
def trained(once: Once) -> Path:
    """The folder in which the tutorial was followed; nobody may change it."""
    return once("trained-home", follow_tutorial)


@dataclass(frozen=True)
class Kept:
    """A service that asks for keys, and the text of one for each scope; ``nobody`` has none."""

    up: Up
    keys: Mapping[str, str]
    channel: grpc.Channel

    def ask(self, key: str, path: str = "/predict") -> int:
        """The status of a prediction asked for with a key."""
        return self.up.ask(path, payload=ROW, headers={"x-api-key": key}).status

    def made(self, name: str, *scopes: str, endpoints: tuple[str, ...] = ()) -> Any:
        """A key, once it is known everywhere."""
        wanted = {"name": name, "scopes": scopes, "endpoints": endpoints}
        answer = self.up.administer("POST", "/keys", wanted)
        assert answer.status == 200, answer.body
        return answer.json


@pytest.fixture(scope="module")
def kept(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    """A service that other machines can reach, in a copy of the trained home, without MLflow."""
    folder = copied(trained, tmp_path_factory.mktemp("kept"))
    refused = cli(folder, "up", "--host", "0.0.0.0", "--no-mlflow", "--port", "0", exit_code=2)
    assert "there is no key to ask with" in refused.stderr
    assert "modelway key create" in refused.stderr
    made = json.loads(cli(folder, "key", "create", "p", "--scope", "predict", "--json").stdout)
    with Homes() as homes:
        words = ("--host", "0.0.0.0", "--no-mlflow", "--grpc", "--grpc-port", "0")
        up = homes.up(folder, *words)
        keys = {"predict": str(made["key"]), NOBODY: ""}
        address = str(up.said["grpc"]).replace("0.0.0.0", "127.0.0.1")
        with grpc.insecure_channel(address) as channel:
            kept = Kept(up, keys, channel)
            for scope in sorted(set(Scope) - {Scope.PREDICT}):
                keys[scope] = kept.made(scope, scope)["key"]
            last = keys[max(set(Scope) - {Scope.PREDICT})]
            wait_until(lambda: all(kept.ask(last) == 403 for _ in range(20)))
            yield kept


@pytest.fixture(scope="module")
def job(kept: Kept) -> str:
    """The id of a job that was answered."""
    return answered(kept, kept.keys["predict"])


def answered(kept: Kept, key: str) -> str:
    """The id of a job that a key asked for, once it is answered."""
    head = {"x-api-key": key}
    taken: Any = kept.up.ask("/models/iris/jobs", payload=ROW, headers=head)
    assert taken.status == 202, taken.body
    path = f"/jobs/{taken.json['id']}/result"
    wait_until(lambda: kept.up.ask(path, headers=head).status == 200, promised(6.0))
    return str(taken.json["id"])


def filled(path: str, name: str, id: str = "absent") -> str:
    """A path of the table, with something in place of what it leaves open."""
    for what, given in (("name", name), ("version", "1"), ("label", "x"), ("id", id)):
        path = path.replace(f"{{{what}}}", given)
    return path


def statuses(url: str, method: str, path: str, key: str) -> list[int]:
    """The statuses of one request on one connection: when its head is new, when it was seen before,
    and of three that came together."""
    parts = urlsplit(url)
    body = b"" if method == "GET" else json.dumps(ROW).encode()
    lines = [f"{method} {path} HTTP/1.1", f"host: {parts.netloc}"]
    if body:
        lines += ["content-type: application/json", f"content-length: {len(body)}"]
    if key:
        lines.append(f"x-api-key: {key}")
    request = "\r\n".join([*lines, "", ""]).encode() + body
    with socket.create_connection((parts.hostname, parts.port), timeout=30) as connection:
        reader = connection.makefile("rb")
        found = []
        for times in (1, 1, 3):
            connection.sendall(request * times)
            found += [_status(reader) for _ in range(times)]
        reader.close()
    return found


def _status(reader: Any) -> int:
    status = int(reader.readline().split()[1])
    head = http.client.parse_headers(reader)
    if head.get("transfer-encoding") == "chunked":
        while size := int(reader.readline(), 16):
            reader.read(size + 2)
        reader.readline()
    else:
        reader.read(int(head.get("content-length", 0)))
    return status


def allowed(asked: Asked, scope: str) -> bool:
    """Whether the table lets a key of one scope, or nobody, do it."""
    scopes = RULES[asked].scopes
    return scopes is None or scope in {*scopes, Scope.ADMIN}


def cells(door: Door) -> list[Asked]:
    return [asked for asked in RULES if asked[0] is door]


@pytest.mark.parametrize("asked", cells(Door.HTTP), ids=lambda asked: " ".join(asked[1:]))
def test_a_route_asks_for_its_scope_on_both_http_paths(kept: Kept, job: str, asked: Asked) -> None:
    _, method, path = asked
    path = filled(path, "iris", job) + ("?sepal_length=1" if path == "/" else "")
    there = statuses(kept.up.url, method, path, kept.keys["admin"])
    assert len(set(there)) == 1
    if there[0] in (404, 405) and not any(one in asked[2] for one in ABSENT):
        assert asked[1:] in ELSEWHERE
        assert {statuses(kept.up.url, method, path, key)[0] for key in kept.keys.values()} <= {
            *(401, 403, 404, 405)
        }
        return
    for scope, key in kept.keys.items():
        found = statuses(kept.up.url, method, path, key)
        assert len(set(found)) == 1, found
        assert (found[0] not in REFUSED) == allowed(asked, scope), (scope, found[0])
        if found[0] in REFUSED:
            assert found[0] == (401 if scope == NOBODY else 403)


@pytest.mark.parametrize("asked", cells(Door.ADMINISTRATION), ids=lambda asked: " ".join(asked[1:]))
def test_a_route_of_the_administration_asks_for_its_scope(kept: Kept, asked: Asked) -> None:
    _, method, path = asked
    url, path = kept.up.said["administration"], filled(path, "absent")
    told: Any = kept.up.administer(method, path, None if method == "GET" else {})
    there = b"route-not-found" not in told.body and told.status != 405
    for scope, key in kept.keys.items():
        status = statuses(url, method, path, key)[0]
        # What there is, nobody but the administrator is told.
        may = allowed(asked, scope) if there else scope == Scope.ADMIN or status == 405
        assert (status not in REFUSED) == may, (scope, status)


@pytest.mark.parametrize("asked", cells(Door.GRPC), ids=lambda asked: asked[2])
def test_a_method_of_grpc_asks_for_its_scope(kept: Kept, asked: Asked) -> None:
    message = messages.ModelInferRequest(model_name="iris").SerializeToString()
    for scope, key in kept.keys.items():
        status = called(kept.channel, asked[2], message, key)
        may = status not in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)
        assert may == allowed(asked, scope), (scope, status)


def called(channel: grpc.Channel, method: str, message: bytes, key: str) -> grpc.StatusCode:
    """How a call began: with an answer, or refused."""
    asking: Any = channel.stream_stream(f"/{method}")
    call = asking(iter([message]), metadata=(("x-api-key", key),) if key else (), timeout=20)
    try:
        first = next(call)
    except grpc.RpcError as error:
        code: grpc.StatusCode = error.code()
        return code
    finally:
        call.cancel()
    if method.endswith("ModelStreamInfer"):
        said = messages.ModelStreamInferResponse.FromString(first).error_message
        return grpc.StatusCode.PERMISSION_DENIED if "key" in said else grpc.StatusCode.OK
    return grpc.StatusCode.OK


def test_the_foreign_protocols_answer_whoever_has_the_key(kept: Kept) -> None:
    head = {"authorization": f"Bearer {kept.keys['predict']}"}
    columns = list(ROW)
    rows = [list(ROW.values())]
    inputs = [
        {"name": name, "shape": [1], "datatype": "FP64", "data": [value]}
        for name, value in ROW.items()
    ]
    for path, payload in (
        ("/v2/models/iris/infer", {"inputs": inputs}),
        ("/invocations", {"dataframe_split": {"columns": columns, "data": rows}}),
        ("/v1/models/iris:predict", {"instances": [ROW]}),
    ):
        for _ in range(2):
            assert kept.up.ask(path, payload=payload, headers=head).status == 200, path
            refused = kept.up.ask(path, payload=payload)
            assert refused.status == 401, path
            assert b"no key that is known here" in refused.body


def test_those_who_ask_at_the_same_moment_are_told_apart(kept: Kept) -> None:
    parts = urlsplit(kept.up.url)
    body = json.dumps(ROW)
    wrong = kept.keys["predict"][:-1] + ("A" if kept.keys["predict"][-1] != "A" else "B")
    sent = [kept.keys["predict"], wrong, kept.keys["read"], ""] * 4
    connections = [http.client.HTTPConnection(parts.netloc, timeout=30) for _ in sent]
    for _ in range(10):
        for connection, key in zip(connections, sent, strict=True):
            head = {"content-type": "application/json"} | ({"x-api-key": key} if key else {})
            connection.request("POST", "/predict", body, head)
        found = []
        for connection in connections:
            response = connection.getresponse()
            response.read()
            found.append(response.status)
        assert found == [200, 401, 403, 401] * 4
    for connection in connections:
        connection.close()


def test_a_key_of_one_endpoint_is_for_no_other(kept: Kept) -> None:
    other = kept.made("other", "predict", endpoints=("loan",))["key"]
    wait_until(lambda: kept.ask(other) == 403, KNOWN_S)
    mine = kept.made("mine", "predict", endpoints=("ir*",))["key"]
    wait_until(lambda: kept.ask(mine) == 200, KNOWN_S)
    assert kept.up.ask("/models/iris", headers={"x-api-key": mine}).status == 200
    assert kept.up.ask("/models", headers={"x-api-key": mine}).status == 403


def test_what_is_of_another_endpoint_or_caller_is_as_if_it_were_not_there(
    kept: Kept, job: str
) -> None:
    mine = kept.made("for-iris", "predict", endpoints=("iris",))["key"]
    others = kept.made("for-loan", "predict", endpoints=("loan",))["key"]
    wait_until(lambda: (kept.ask(mine), kept.ask(others)) == (200, 403), KNOWN_S)

    def said(key: str, method: str, path: str, body: bytes | None = None, kind: str = "") -> Any:
        head = {"x-api-key": key, "content-type": kind or "application/json"}
        return kept.up.ask(path, body=body, headers=head, method=method)

    with controlled(kept.up.home) as control:
        control.store.jobs.enqueue([new_job("of-loan", endpoint="loan")])
    for method, path in (
        ("GET", "/jobs/{id}"),
        ("GET", "/jobs/{id}/result"),
        ("GET", "/process?id={id}"),
        ("DELETE", "/jobs/{id}"),
    ):
        for key, own, other in ((mine, job, "of-loan"), (others, "of-loan", job)):
            refused = said(key, method, filled(path, "", other))
            absent = said(key, method, filled(path, "", "absent"))
            assert (refused.status, refused.json["code"]) == (404, "job-not-found")
            assert refused.json["detail"] == absent.json["detail"].replace("absent", other)
            assert said(key, method, filled(path, "", own)).status in (200, 202, 409)
    assert said(mine, "GET", "/jobs?model=loan").status == 403
    assert said(mine, "GET", "/jobs").status == 403
    listed = said(others, "GET", "/jobs?model=loan").json["jobs"]
    assert [one["id"] for one in listed] == ["of-loan"]
    assert said(others, "GET", "/jobs?model=loan&before=of-loan").json["jobs"] == []
    assert said(others, "GET", f"/jobs?model=loan&before={job}").status == 404

    upload = said(mine, "POST", "/uploads", json.dumps(ROW).encode())
    assert upload.status == 201
    reference = json.dumps({"upload": upload.json["id"]}).encode()
    for key, status in ((mine, 202), (kept.keys["predict"], 404), (others, 403)):
        taken = said(key, "POST", "/models/iris/jobs", reference, REFERENCE.decode())
        assert taken.status == status, taken.body
    path = f"/uploads/{upload.json['id']}"
    for key, status in ((kept.keys["predict"], 404), (kept.keys["read"], 403), (mine, 204)):
        assert said(key, "DELETE", path).status == status
    gone = said(mine, "DELETE", path)
    assert (gone.status, gone.json["code"]) == (404, "upload-not-found")


@pytest.mark.parametrize(
    "path",
    ["/models/absent/jobs", "/models/absent/versions/1/jobs", "/process?model=absent"],
)
def test_who_may_not_ask_for_jobs_is_not_told_what_there_is(kept: Kept, path: str) -> None:
    for name, status in ((NOBODY, 401), ("read", 403), ("predict", 404)):
        refused = kept.up.ask(path, payload=ROW, headers={"x-api-key": kept.keys[name]})
        assert refused.status == status
        assert (b"iris" in refused.body) == (name == "predict")


def test_a_revoked_key_is_refused_in_two_seconds(kept: Kept) -> None:
    made = kept.made("leaving", "predict")
    wait_until(lambda: all(kept.ask(made["key"]) == 200 for _ in range(10)))
    kept.up.cli("key", "revoke", made["id"])
    wait_until(lambda: all(kept.ask(made["key"]) == 401 for _ in range(10)), KNOWN_S)
    listed = {one["id"]: one for one in kept.up.cli_json("key", "list")}
    assert listed[made["id"]]["revoked_at"]
    acts = kept.up.cli_json("key", "audit")
    assert "key.create" in {one["act"] for one in acts}
    assert made["key"] not in json.dumps(acts) + json.dumps(listed)


@pytest.fixture(scope="module")
def secured(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A service that speaks TLS, and lets one origin ask; ``tls.crt`` lies in its folder."""
    folder = copied(trained, tmp_path_factory.mktemp("secured"))
    cert, key = certificate_pair().write(folder)
    words = ("--no-mlflow", "--tls-cert", str(cert), "--tls-key", str(key))
    with Homes() as homes:
        environment = {"MODELWAY__REST__CORS_ORIGINS": ORIGIN, "SSL_CERT_FILE": str(cert)}
        yield homes.up(folder, *words, environment=environment)


def encrypted(
    up: Up, url: str, method: str, path: str, **head: str
) -> tuple[int, Mapping[str, str]]:
    """Status and headers of an answer over TLS, whose certificate is checked."""
    context = ssl.create_default_context(cafile=up.folder / "tls.crt")
    parts = urlsplit(url)
    assert parts.scheme == "https"
    connection = http.client.HTTPSConnection(parts.netloc, context=context, timeout=30)
    named = {name.replace("_", "-"): value for name, value in head.items()}
    body = json.dumps(ROW) if method == "POST" else None
    connection.request(method, path, body, {"content-type": "application/json", **named})
    response = connection.getresponse()
    response.read()
    connection.close()
    return response.status, {name.lower(): value for name, value in response.headers.items()}


def test_predictions_and_administration_are_encrypted(secured: Up) -> None:
    assert encrypted(secured, secured.url, "POST", "/predict")[0] == 200
    administration = secured.said["administration"]
    bearer = f"Bearer {secured.admin_key}"
    assert encrypted(secured, administration, "GET", "/models", authorization=bearer)[0] == 200
    assert encrypted(secured, administration, "GET", "/models")[0] == 401
    there = ("--server", administration, "--key", secured.admin_key)
    (endpoint,) = secured.cli_json("endpoint", "list", *there)
    assert endpoint["name"] == "iris"
    plain = http.client.HTTPConnection(urlsplit(secured.url).netloc, timeout=10)
    with pytest.raises((OSError, http.client.HTTPException)):
        plain.request("GET", "/health/live")
        plain.getresponse()
    plain.close()
    assert "Serving iris at https://" in secured.log.read_text()


def test_a_renewed_certificate_is_shown_without_a_restart(secured: Up) -> None:
    certificate_pair().write(secured.folder)

    def is_new(url: str) -> bool:
        try:
            return encrypted(secured, url, "GET", "/health/live")[0] == 200
        except ssl.SSLError:
            return False

    for url in (secured.url, secured.said["administration"]):
        wait_until(lambda url=url: all(is_new(url) for _ in range(10)))  # type: ignore[misc]


def test_a_page_of_an_allowed_origin_may_ask_and_read(secured: Up) -> None:
    for _ in range(2):
        status, head = encrypted(secured, secured.url, "POST", "/predict", origin=ORIGIN)
        assert (status, head["access-control-allow-origin"]) == (200, ORIGIN)
        _, head = encrypted(secured, secured.url, "POST", "/predict", origin="https://evil.example")
        assert "access-control-allow-origin" not in head
    wanted = {
        "access_control_request_method": "POST",
        "access_control_request_headers": "content-type, x-api-key",
    }
    status, head = encrypted(secured, secured.url, "OPTIONS", "/predict", origin=ORIGIN, **wanted)
    assert status == 204
    assert "POST" in head["access-control-allow-methods"]
    assert "x-api-key" in head["access-control-allow-headers"]


def test_told_to_be_insecure_it_lets_everybody_ask(trained: Path, tmp_path: Path) -> None:
    with Homes() as homes:
        words = ("--host", "0.0.0.0", "--no-mlflow", "--insecure")
        up = homes.up(copied(trained, tmp_path), *words, workers=1)
        assert up.ask("/predict", payload=ROW).status == 200


def test_serving_a_bundle_is_open_on_loopback_and_keyed_elsewhere(
    trained: Path, tmp_path: Path, serve: Serve
) -> None:
    bundle = sorted((trained / HOME / "bundles").iterdir())[0]
    service = serve(f"iris={bundle}")
    assert service.ask("/predict", json=ROW).status == 200
    words = ("serve", f"iris={bundle}", "--host", "0.0.0.0", "--port", str(free_port()))
    refused = cli(tmp_path, *words, exit_code=2)
    assert "there is no key to ask with" in refused.stderr
