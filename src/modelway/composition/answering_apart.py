"""A bundle asked in a process of its own, however it answers in a service.

Whoever replays a prediction asks the process that keeps everything running. A model that aborts,
or never ends, must not end or hold up that one.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from modelway.bundles.manifest import Manifest
from modelway.bundles.ports import Runtime
from modelway.composition.isolation import ModelProcess, error_of
from modelway.composition.model_wire import (
    Answered,
    BadMessage,
    Failed,
    Opening,
    outputs_of,
    question_of,
)
from modelway.domain.errors import LoadFailed, ModelCrashed, OutputInvalid
from modelway.domain.inference import Outputs
from modelway.domain.signature import Signature
from modelway.domain.stopping import Limit
from modelway.domain.tables import Table
from modelway.inference.loading import load_model
from modelway.settings import InferenceSettings


def answer_apart(
    folder: Path, table: Table, settings: InferenceSettings, limit: Limit, *, allow_pickle: bool
) -> Outputs:
    """What the bundle in ``folder`` gives for a table.

    Raises:
        ModelCrashed: the process died.
        DeadlineExceeded, Unavailable: the limit was reached, and the process is ended.
        ModelwayError: the bundle cannot be opened, or the model fails.
    """
    with _OneProcess(folder, allow_pickle=allow_pickle) as runtime:

        def opened(_folder: Path, _signature: Signature, _manifest: Manifest) -> Runtime:
            runtime.open()
            return runtime

        with limit.on(f"the model {folder.name}", runtime.kill):
            model = load_model(folder.name, folder, opened, settings)
            return model.execution.predict(table)


class _OneProcess:
    """A bundle's process, which is not started again.

    Raises:
        LoadFailed: no process can be started.
    """

    def __init__(self, folder: Path, *, allow_pickle: bool) -> None:
        self._name = folder.name
        self._opening = Opening(str(folder.absolute()), allow_pickle)
        try:
            self._process = ModelProcess(folder.name)
        except OSError as error:
            raise LoadFailed(f"{folder.name}: no process can be started: {error}") from error
        self.kill: Callable[[], None] = self._process.kill

    def __enter__(self) -> _OneProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._process.wait()

    def open(self) -> None:
        """Have the process open the bundle. Raises LoadFailed, UnsafeFormat, MissingExtra."""
        fault = self._process.open(self._opening)
        if fault is not None:
            raise fault

    def predict(self, table: Table) -> Outputs:
        """The outputs for the table's rows. Raises ModelCrashed, and what the model raises."""
        try:
            answer = self._process.answer() if self._process.ask(question_of(table)) else None
            if isinstance(answer, Answered):
                return outputs_of(answer)
        except BadMessage as error:
            raise ModelCrashed(f"{self._name} said what nobody understands: {error}") from error
        if answer is None:
            raise ModelCrashed(f"the process of {self._name} died")
        if isinstance(answer, Failed):
            raise error_of(answer, self._name)
        raise OutputInvalid(f"the process of {self._name} gave no outputs")

    def close(self) -> None:
        """Do nothing: the process ends with the block."""
