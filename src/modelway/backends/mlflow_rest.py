"""The model registry of an MLflow server, over its REST API and without MLflow's own code.

Aliases are read with the model: MLflow's searches may leave them out.

Source: MLflow 3.17, "REST API"; the paths are the same since 2.9.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from modelway.backends.mlflow_answers import model_of, run_of, version_of
from modelway.backends.mlflow_calls import MlflowCalls, now_ms
from modelway.backends.mlflow_files import Place, download
from modelway.backends.mlflow_http import Absent, MlflowHttp
from modelway.backends.mlflow_places import place_of, place_of_run, run_said, source_of_run
from modelway.backends.mlflow_registering import create_version, register_files
from modelway.domain.errors import (
    InvalidSource,
    ModelNotFound,
    ModelwayError,
    NotFound,
    VersionNotFound,
)
from modelway.domain.references import RunReference, check_alias, check_model_name
from modelway.registry.models import ModelVersion, RegisteredModel, Run

_PAGE_ROWS = 1000


class MlflowRegistry:
    """Reads and changes the registry of the MLflow server at ``url``; safe in threads.

    ``url`` may have a path and ``user:password@``; otherwise ``token``, or ``user`` and
    ``password``, say who asks. ``timeout_s`` is the longest that the server may be silent,
    ``page_rows`` how much a search asks for at once. Nothing is asked before the first use; a
    server older than 2.9 is then refused with RegistryUnavailable.

    Raises:
        BadValue: the address or the credentials are not ones that can be used.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        user: str | None = None,
        password: str | None = None,
        timeout_s: float = 30.0,
        page_rows: int = _PAGE_ROWS,
    ) -> None:
        self._server = MlflowHttp(url, token, user, password, timeout_s)
        self._calls = MlflowCalls(self._server, page_rows)

    @property
    def url(self) -> str:
        """The server's address, without credentials."""
        return self._server.url

    def models(self) -> Sequence[RegisteredModel]:
        """Every registered model, by name; with its aliases where the server's search gives them.

        Raises:
            RegistryUnavailable: the registry cannot be reached.
        """
        pages = self._calls.pages("registered-models/search", {})
        found = [model_of(one) for page in pages for one in page.registered_models]
        return sorted(found, key=lambda one: one.name)

    def model(self, name: str) -> RegisteredModel:
        """One model, with its aliases.

        Raises:
            RegistryUnavailable: the registry cannot be reached.
            ModelNotFound: there is no such model.
        """
        answer = self._calls.ask(
            "registered-models/get", {"name": name}, lambda: ModelNotFound(name)
        )
        return model_of(self._calls.there(answer.registered_model))

    def versions(self, name: str) -> Sequence[ModelVersion]:
        """Every version of a model, the oldest first.

        Raises:
            RegistryUnavailable: the registry cannot be reached.
            ModelNotFound: there is no such model.
        """
        quote = "'" if "'" not in name else '"'
        if quote in name:
            raise ModelNotFound(name)  # no search of MLflow can name it
        pages = self._calls.pages("model-versions/search", {"filter": f"name={quote}{name}{quote}"})
        found = [
            version_of(one) for page in pages for one in page.model_versions if one.name == name
        ]
        if not found:
            self.model(name)
        return sorted(found, key=lambda one: int(one.version))

    def version(self, name: str, version: str) -> ModelVersion:
        """One version.

        Raises:
            RegistryUnavailable: the registry cannot be reached.
            ModelNotFound: there is no such model.
            VersionNotFound: it has no such version.
        """
        query = {"name": name, "version": self._number(name, version)}
        answer = self._calls.ask("model-versions/get", query, self._absent(name, version))
        return version_of(self._calls.there(answer.model_version))

    def run(self, run_id: str) -> Run:
        """The run that a version came from.

        Raises:
            RegistryUnavailable: the registry cannot be reached.
            RunNotFound: there is no such run.
        """
        return run_of(run_said(self._calls, run_id))

    def registered_from(self, reference: RunReference) -> Sequence[ModelVersion]:
        """The versions of any model whose files are what a run has logged at a path.

        Raises:
            RegistryUnavailable: the registry cannot be reached.
            RunNotFound: there is no such run.
        """
        place = place_of_run(self._calls, reference)
        asked = {"filter": f"run_id='{reference.run_id}'"}
        pages = self._calls.pages("model-versions/search", asked)
        versions = [version_of(one) for page in pages for one in page.model_versions]
        return [one for one in versions if self._lies_at(one, place)]

    def fetch(self, version: ModelVersion, folder: Path) -> None:
        """Write the files of a version below ``folder``, which is made, or is empty.

        Each file appears whole; where anything fails nothing is left.

        Raises:
            RegistryUnavailable: the registry cannot be reached.
            ModelNotFound: there is no such model.
            VersionNotFound: it has no such version.
            InvalidSource: it has no files, or keeps them where its server does not give them.
            TargetExists: something is in the folder.
        """
        download(self._server, self._place(version), folder)

    def fetch_run(self, reference: RunReference, folder: Path) -> None:
        """Write what a run has logged at a path below ``folder``, as ``fetch`` does.

        Raises:
            RegistryUnavailable: the registry cannot be reached.
            RunNotFound: there is no such run.
            InvalidSource: the run has nothing there.
            TargetExists: something is in the folder.
        """
        download(self._server, place_of_run(self._calls, reference), folder)

    def register(
        self, name: str, folder: Path, run_id: str | None, tags: Mapping[str, str]
    ) -> ModelVersion:
        """A new version with the files of a folder; the model is made if there is none.

        The files are kept with the run, or with one that is made for them.

        Raises:
            RegistryUnavailable: the registry cannot be reached, or takes no files.
            InvalidName: no model may be called so.
            InvalidSource: the folder has no files, or a link that leads out of it.
            SourceNotFound: the folder is not there.
            RunNotFound: there is no such run.
            InvalidInput: a tag is one that MLflow does not take.
        """
        return register_files(self._server, self._calls, name, folder, run_id, tags)

    def register_run(
        self, name: str, reference: RunReference, tags: Mapping[str, str]
    ) -> ModelVersion:
        """A new version of what a run has logged at a path, where it lies; the model is made if
        there is none.

        Raises:
            RegistryUnavailable: the registry cannot be reached.
            InvalidName: no model may be called so.
            RunNotFound: there is no such run.
            InvalidInput: MLflow does not take it, or a tag.
        """
        check_model_name(name)
        source, model_id = source_of_run(self._calls, reference)
        return create_version(self._calls, name, source, reference.run_id, tags, model_id)

    def log_metrics(self, run_id: str, metrics: Mapping[str, float]) -> None:
        """Add metrics to a run, finished or not, as of now; all of them or none.

        Raises:
            RegistryUnavailable: the registry cannot be reached.
            RunNotFound: there is no such run.
            InvalidInput: a metric is one that MLflow does not take.
        """
        run_said(self._calls, run_id)
        now = now_ms()
        entries = [
            {"key": name, "value": value, "timestamp": now, "step": 0}
            for name, value in metrics.items()
        ]
        if entries:
            self._calls.tell("POST", "runs/log-batch", {"run_id": run_id, "metrics": entries})

    def set_alias(self, name: str, alias: str, version: str | None) -> None:
        """Point an alias to a version, or to none; whoever writes last wins.

        Raises:
            RegistryUnavailable: the registry cannot be reached.
            InvalidName: no alias may be called so.
            ModelNotFound: there is no such model.
            VersionNotFound: it has no such version.
        """
        check_alias(alias)
        said = {"name": name, "alias": alias}
        if version is None:
            self._calls.tell("DELETE", "registered-models/alias", said, lambda: ModelNotFound(name))
            return
        said["version"] = self._number(name, version)
        self._calls.tell("POST", "registered-models/alias", said, self._absent(name, version))

    def set_tags(self, name: str, version: str, tags: Mapping[str, str | None]) -> None:
        """Add tags to a version; those of the same name are replaced, and removed where it is None.

        Raises:
            RegistryUnavailable: the registry cannot be reached.
            ModelNotFound: there is no such model.
            VersionNotFound: it has no such version.
            InvalidInput: a tag is one that MLflow does not take.
        """
        number = self._number(name, version)
        if not tags:
            self.version(name, version)
        for key, value in tags.items():
            said = {"name": name, "version": number, "key": key}
            order = ("DELETE", "model-versions/delete-tag")
            if value is not None:
                said["value"] = value
                order = ("POST", "model-versions/set-tag")
            self._calls.tell(*order, said, self._absent(name, version))

    def delete(self, name: str, version: str) -> None:
        """Remove a version; an alias that points to it goes with it.

        Raises:
            RegistryUnavailable: the registry cannot be reached.
            ModelNotFound: there is no such model.
            VersionNotFound: it has no such version.
        """
        said = {"name": name, "version": self._number(name, version)}
        self._calls.tell("DELETE", "model-versions/delete", said, self._absent(name, version))

    def _number(self, name: str, version: str) -> str:
        """The version as MLflow takes one: it refuses what is no whole number otherwise than what
        does not exist."""
        if not (version.isascii() and version.isdigit()):
            raise self._absent(name, version)()
        return version

    def _absent(self, name: str, version: str) -> Absent:
        """Whether it is the model or the version that does not exist, found out when asked."""

        def found_out() -> ModelwayError:
            try:
                known = [one.version for one in self.versions(name)]
            except ModelNotFound as error:
                return error
            return VersionNotFound(name, version, known)

        return found_out

    def _place(self, version: ModelVersion) -> Place:
        """Where the server gives the files of a version."""
        query = {"name": version.name, "version": version.version}
        absent = self._absent(version.name, version.version)
        answer = self._calls.ask("model-versions/get-download-uri", query, absent)
        addresses = (answer.artifact_uri or version.source, version.source)
        return place_of(self._calls, addresses, version.run_id)

    def _lies_at(self, version: ModelVersion, place: Place) -> bool:
        try:
            return self._place(version) == place
        except (InvalidSource, NotFound):  # files that the server does not give, or no more
            return False
