from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from modelway.access.tls import Certificate, server_context
from modelway.domain.errors import BadValue
from support.certificates import Pair, certificate_pair


@pytest.fixture(scope="module")
def pair() -> Pair:
    return certificate_pair()


def presented(context: ssl.SSLContext, trusted: bytes, **options: ssl.TLSVersion) -> bytes:
    """The certificate that a client sees, DER; raises SSLError where they cannot agree."""
    client_context = ssl.create_default_context(cadata=trusted.decode())
    for name, value in options.items():
        setattr(client_context, name, value)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(to_client, to_server, server_hostname="localhost")
    server = context.wrap_bio(to_server, to_client, server_side=True)
    waiting = [client, server]
    for _ in range(20):
        for one in tuple(waiting):
            try:
                one.do_handshake()
                waiting.remove(one)
            except ssl.SSLWantReadError:
                pass
    assert not waiting
    found = client.getpeercert(binary_form=True)
    assert found is not None
    return found


def der(pair: Pair) -> bytes:
    return ssl.PEM_cert_to_DER_cert(pair.cert.decode())


def test_a_client_sees_the_certificate(tmp_path: Path, pair: Pair) -> None:
    context = server_context(*pair.write(tmp_path))
    assert presented(context, pair.cert) == der(pair)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_what_is_spoken_today(tmp_path: Path, pair: Pair, version: ssl.TLSVersion) -> None:
    context = server_context(*pair.write(tmp_path))
    limits = {"minimum_version": version, "maximum_version": version}
    assert presented(context, pair.cert, **limits) == der(pair)


def test_what_is_old_is_not_spoken(tmp_path: Path, pair: Pair) -> None:
    context = server_context(*pair.write(tmp_path))
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.options & ssl.OP_NO_RENEGOTIATION
    assert context.options & ssl.OP_NO_COMPRESSION
    assert not any("RC4" in one["name"] or "NULL" in one["name"] for one in context.get_ciphers())


@pytest.mark.parametrize("missing", ["tls.crt", "tls.key"])
def test_a_missing_file_is_named_with_its_setting(tmp_path: Path, pair: Pair, missing: str) -> None:
    files = pair.write(tmp_path)
    (tmp_path / missing).unlink()
    setting = {"tls.crt": "serve.tls_cert", "tls.key": "serve.tls_key"}[missing]
    with pytest.raises(BadValue) as refused:
        server_context(*files)
    assert refused.value.message == f"{setting} {tmp_path / missing} does not exist"


def test_a_folder_is_no_file(tmp_path: Path, pair: Pair) -> None:
    cert, key = pair.write(tmp_path)
    with pytest.raises(BadValue, match=r"serve\.tls_key .* cannot be read: Is a directory"):
        server_context(cert, tmp_path)
    with pytest.raises(BadValue, match=r"serve\.tls_cert .* cannot be read: Is a directory"):
        server_context(tmp_path, key)


def test_files_that_were_mixed_up_are_told_apart(tmp_path: Path, pair: Pair) -> None:
    cert, key = pair.write(tmp_path)
    with pytest.raises(BadValue, match=r"serve\.tls_cert .*tls\.key has no certificate in it"):
        server_context(key, cert)
    with pytest.raises(BadValue, match=r"serve\.tls_key .*tls\.crt has no private key in it"):
        server_context(cert, cert)


def test_a_key_of_another_certificate_is_refused(tmp_path: Path, pair: Pair) -> None:
    cert, key = Pair(pair.cert, certificate_pair().key).write(tmp_path)
    with pytest.raises(BadValue, match=r"tls\.key is not the key of serve\.tls_cert .*tls\.crt"):
        server_context(cert, key)


def test_a_key_with_a_password_is_refused_without_asking_for_it(tmp_path: Path) -> None:
    files = certificate_pair(password=b"hunter2").write(tmp_path)
    with pytest.raises(BadValue, match="is encrypted with a password"):
        server_context(*files)


@pytest.mark.parametrize("part", ["cert", "key"])
def test_a_damaged_file_is_refused(tmp_path: Path, pair: Pair, part: str) -> None:
    parts = {"cert": pair.cert, "key": pair.key}
    begin, body, *rest = parts[part].splitlines(keepends=True)
    parts[part] = b"".join((begin, body[:20] + b"\n", *rest))
    with pytest.raises(BadValue, match="cannot be used"):
        server_context(*Pair(**parts).write(tmp_path))


def test_files_that_stay_are_not_read_again(tmp_path: Path, pair: Pair) -> None:
    certificate = Certificate(*pair.write(tmp_path))
    before = certificate.pem
    assert not certificate.renew()
    assert certificate.pem is before


def test_renewed_files_count_for_the_next_connection(tmp_path: Path, pair: Pair) -> None:
    certificate = Certificate(*pair.write(tmp_path))
    context = certificate.context
    assert presented(context, pair.cert) == der(pair)
    renewed = certificate_pair()
    renewed.write(tmp_path)
    assert presented(context, pair.cert) == der(pair), "nobody has looked yet"
    assert certificate.renew()
    assert not certificate.renew()
    assert presented(context, renewed.cert) == der(renewed)
    assert (certificate.pem.chain, certificate.pem.key) == (renewed.cert, renewed.key)
    assert certificate.context is context


def test_half_a_renewal_changes_nothing_and_is_said_once(tmp_path: Path, pair: Pair) -> None:
    cert, key = pair.write(tmp_path)
    certificate = Certificate(cert, key)
    renewed = certificate_pair()
    cert.write_bytes(renewed.cert)
    with pytest.raises(BadValue, match="is not the key of"):
        certificate.renew()
    assert not certificate.renew()
    assert presented(certificate.context, pair.cert) == der(pair)
    key.write_bytes(renewed.key)
    assert certificate.renew()
    assert presented(certificate.context, renewed.cert) == der(renewed)


def test_files_that_are_gone_for_a_while_change_nothing(tmp_path: Path, pair: Pair) -> None:
    cert, key = pair.write(tmp_path)
    certificate = Certificate(cert, key)
    key.unlink()
    with pytest.raises(BadValue, match="does not exist"):
        certificate.renew()
    assert presented(certificate.context, pair.cert) == der(pair)
    pair.write(tmp_path)
    assert certificate.renew()


def test_the_key_is_not_shown(tmp_path: Path, pair: Pair) -> None:
    certificate = Certificate(*pair.write(tmp_path))
    assert "PRIVATE" not in repr(certificate.pem)
