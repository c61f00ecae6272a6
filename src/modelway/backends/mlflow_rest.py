"""The model registry of an MLflow server, over its REST API and without MLflow's own code.

Aliases are read with the model: MLflow's searches may leave them out.

Source: MLflow 3.17, "REST API"; the paths are the same since 2.9.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from modelway.backends.mlflow_answers import RunSaid, model_of, run_of, version_of
from modelway.backends.mlflow_calls import MlflowCalls
from modelway.backends.mlflow_files import download, files_of, upload
from modelway.backends.mlflow_http import Absent, MlflowHttp
from modelway.backends.mlflow_places import place_of, place_of_run, proxied_path, run_said
from modelway.domain.errors import (
    ModelNotFound,
    ModelwayError,
    RegistryUnavailable,
    VersionNotFound,
)
from modelway.domain.references import RunReference, check_alias, check_model_name
from modelway.registry.models import ModelVersion, RegisteredModel, Run

EXPERIMENT = "modelway"
"""The experiment of the runs that registrations make which are given none."""

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
        query = {"name": version.name, "version": version.version}
        absent = self._absent(version.name, version.version)
        answer = self._calls.ask("model-versions/get-download-uri", query, absent)
        addresses = (answer.artifact_uri or version.source, version.source)
        download(self._server, place_of(self._calls, addresses, version.run_id), folder)

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
        check_model_name(name)
        files_of(folder)
        run = run_said(self._calls, run_id) if run_id is not None else self._new_run(name)
        root = run.info.artifact_uri or ""
        path = proxied_path(root)
        if path is None:
            raise RegistryUnavailable(
                f"the registry at {self.url} takes no files: those of the run "
                f"{run.info.run_id} are kept at {root}",
                hint="start MLflow's server with --serve-artifacts and an experiment of its own",
            )
        part = f"model-{secrets.token_hex(8)}"
        try:
            upload(self._server, folder, f"{path}/{part}")
        except ModelwayError:
            if run_id is None:
                with contextlib.suppress(ModelwayError):
                    self._end(run, "FAILED")
            raise
        if run_id is None:
            self._end(run, "FINISHED")
        self._calls.make("registered-models/create", {"name": name})
        said = {
            "name": name,
            "source": f"{root}/{part}",
            "run_id": run.info.run_id,
            "tags": [{"key": key, "value": value} for key, value in tags.items()],
        }
        answer = self._calls.tell("POST", "model-versions/create", said)
        return version_of(self._calls.there(answer.model_version))

    def log_metrics(self, run_id: str, metrics: Mapping[str, float]) -> None:
        """Add metrics to a run, finished or not, as of now; all of them or none.

        Raises:
            RegistryUnavailable: the registry cannot be reached.
            RunNotFound: there is no such run.
            InvalidInput: a metric is one that MLflow does not take.
        """
        run_said(self._calls, run_id)
        now = _now_ms()
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

    def set_tags(self, name: str, version: str, tags: Mapping[str, str]) -> None:
        """Add tags to a version; those of the same name are replaced.

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
            said = {"name": name, "version": number, "key": key, "value": value}
            self._calls.tell("POST", "model-versions/set-tag", said, self._absent(name, version))

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

    def _new_run(self, name: str) -> RunSaid:
        """A run that holds the files of a registration."""
        self._calls.make("experiments/create", {"name": EXPERIMENT})
        asked = {"experiment_name": EXPERIMENT}
        experiment = self._calls.there(self._calls.ask("experiments/get-by-name", asked).experiment)
        said = {
            "experiment_id": experiment.experiment_id,
            "run_name": name,
            "start_time": _now_ms(),
        }
        return self._calls.there(self._calls.tell("POST", "runs/create", said).run)

    def _end(self, run: RunSaid, status: str) -> None:
        said = {"run_id": run.info.run_id, "status": status, "end_time": _now_ms()}
        self._calls.tell("POST", "runs/update", said)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
