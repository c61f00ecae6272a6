"""Where the files of a version lie: MLflow's addresses, followed to what the server gives.

A version's address is one below the server itself (``mlflow-artifacts:/``), that of a logged model
(``models:/m-...``), of a run's files (``runs:/``), or one of a disk or an object store. The last
the server gives too, as long as a run or a logged model that it knows holds them.
"""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from modelway.backends.mlflow_answers import LoggedModelSaid, RunSaid
from modelway.backends.mlflow_calls import MlflowCalls
from modelway.backends.mlflow_files import Place
from modelway.backends.mlflow_http import quoted
from modelway.domain.errors import InvalidName, InvalidSource, RunNotFound
from modelway.domain.references import RunReference, parse_reference

_LOGGED_MODEL = "models:/m-"


def run_said(calls: MlflowCalls, run_id: str) -> RunSaid:
    """A run.

    Raises:
        RegistryUnavailable: the registry cannot be reached.
        RunNotFound: there is no such run.
    """
    absent = RunNotFound(f"the registry has no run {run_id[:80]!r}")
    return calls.there(calls.ask("runs/get", {"run_id": run_id}, lambda: absent).run)


def place_of(calls: MlflowCalls, addresses: tuple[str, ...], run_id: str | None) -> Place:
    """Where the server gives what lies at one of the addresses, the first that it can.

    Raises:
        RegistryUnavailable: the registry cannot be reached.
        RunNotFound: they are of a run that there is no more.
        InvalidSource: the server does not give them.
    """
    for address in addresses:
        path = proxied_path(address)
        if path is not None:
            return Place(path)
        if address.startswith(_LOGGED_MODEL):
            model_id, _, below = address.removeprefix("models:/").partition("/")
            return _of_logged(_logged(calls, model_id), below)
        reference = _run_reference(address)
        if reference is not None:
            return place_of_run(calls, reference)
    if run_id:
        root = run_said(calls, run_id).info.artifact_uri or ""
        for address in addresses:
            inside = path_within(address, root)
            if inside is not None:
                return Place(inside, run_id=run_id)
    raise InvalidSource(
        f"the registry at {calls.url} does not give the files at {addresses[0][:200]}: they belong "
        "to no run and no logged model of it",
        hint="register a copy of the model's folder",
    )


def place_of_run(calls: MlflowCalls, reference: RunReference) -> Place:
    """Where the server gives what a run has logged: a logged model of that name, or its files.

    Raises:
        RegistryUnavailable: the registry cannot be reached.
        RunNotFound: there is no such run.
    """
    run = run_said(calls, reference.run_id)
    found = _logged_by(calls, run, reference)
    if found is not None:
        return _of_logged(*found)
    root = proxied_path(run.info.artifact_uri or "")
    if root is not None:
        return Place(f"{root}/{reference.path}")
    return Place(reference.path, run_id=reference.run_id)


def source_of_run(calls: MlflowCalls, reference: RunReference) -> tuple[str, str | None]:
    """What MLflow calls the source of a version that is registered from what a run has logged; and
    the id of the logged model, if that is one.

    Raises:
        RegistryUnavailable: the registry cannot be reached.
        RunNotFound: there is no such run.
    """
    run = run_said(calls, reference.run_id)
    found = _logged_by(calls, run, reference)
    if found is None or found[1]:
        return f"{run.info.artifact_uri}/{reference.path}", None
    model_id = found[0].info.model_id
    return f"models:/{model_id}", model_id


def proxied_path(uri: str) -> str | None:
    """The path of a ``mlflow-artifacts:/`` address on the server itself; None for any other."""
    parts = urlsplit(uri)
    if parts.scheme != "mlflow-artifacts" or parts.netloc:
        return None
    return unquote(parts.path).strip("/")


def path_within(uri: str, root: str) -> str | None:
    """The path of an address below that of a folder, empty for the same; None if it is not."""
    uri, root = _plain(uri), _plain(root)
    if uri == root:
        return ""
    return uri.removeprefix(root + "/") if root and uri.startswith(root + "/") else None


def _logged_by(
    calls: MlflowCalls, run: RunSaid, reference: RunReference
) -> tuple[LoggedModelSaid, str] | None:
    """The model that a run has logged by the first name of the path, the latest of several, and the
    path below it; None where there is none."""
    first, _, below = reference.path.partition("/")
    for output in reversed(run.outputs.model_outputs):
        logged = _logged(calls, output.model_id)
        if logged.info.name == first:
            return logged, below
    return None


def _logged(calls: MlflowCalls, model_id: str) -> LoggedModelSaid:
    absent = InvalidSource(f"the registry has no logged model {model_id[:80]!r}")
    return calls.there(calls.ask(f"logged-models/{quoted(model_id)}", {}, lambda: absent).model)


def _of_logged(said: LoggedModelSaid, below: str) -> Place:
    root = proxied_path(said.info.artifact_uri or "")
    if root is None:
        return Place(below, model_id=said.info.model_id)
    return Place(f"{root}/{below}".rstrip("/"))


def _run_reference(address: str) -> RunReference | None:
    if not address.startswith("runs:"):
        return None
    try:
        found = parse_reference(address)
    except InvalidName as error:
        raise InvalidSource(f"the files at {address[:200]} cannot be found: {error}") from error
    return found if isinstance(found, RunReference) else None


def _plain(uri: str) -> str:
    """An address without ``file:`` and the slashes behind it, so that one place has one text."""
    if uri.startswith("file:"):
        uri = "/" + unquote(urlsplit(uri).path).lstrip("/")
    return uri.rstrip("/")
