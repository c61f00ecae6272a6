"""The demo: train, bundle and serve in one command, and the requests that show what is there.

The training runs in a child process, as everything does that needs scikit-learn, so the process
that serves is the one a user would run.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from modelway.composition.demo_training import LABELS, TARGET
from modelway.composition.serving import SERVING, ServeRequest, serve
from modelway.domain.errors import BuildFailed, MissingExtra
from modelway.settings import Settings, child_environment

Say = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Trial:
    """A query to send; the status and the words that the answer must have."""

    query: str
    status: int
    words: tuple[str, ...]


TRIALS = (
    Trial(
        "/?sepal_length=7.7&sepal_width=3.0&petal_length=6.1&petal_width=2.3",
        200,
        ('"prediction":2', '"label":"virginica"'),
    ),
    Trial(
        "/?sepal_length=7.7&petal_length=abc&petal_width=2.3",
        422,
        ("sepal_width", "petal_length", "abc"),
    ),
)


def serve_demo(settings: Settings, say: Say) -> int:
    """Train, bundle, serve until a signal comes; gives the exit code.

    Raises:
        MissingExtra: scikit-learn is not installed.
        BuildFailed: the training did not end well.
    """
    request = _request(settings, say)

    def ready(url: str) -> None:
        say("Try:")
        for trial in TRIALS:
            say(f"  curl '{url}{trial.query}'")
        say("Stop with Ctrl-C.")

    return serve(request, settings, say=say, when_ready=ready)


def check_demo(settings: Settings, say: Say) -> bool:
    """Run the demo in a child process, send the trials, print the answers, end it.

    True if every answer was right. The port is a free one, unless one was asked for.

    Raises:
        MissingExtra: scikit-learn is not installed.
        BuildFailed: the service did not start.
    """
    _need_sklearn()
    asked_for = settings.origins.get("serve.port", "default") != "default"
    port = settings.serve.port if asked_for else 0
    command = [sys.executable, "-P", "-m", "modelway", "demo", "--port", str(port)]
    command += ["--home", str(settings.bundles.home)]
    service = subprocess.Popen(
        command, stdout=subprocess.PIPE, env=child_environment(PYTHONUNBUFFERED="1"), text=True
    )
    try:
        url = _url_of(service, say)
        wrong = [trial for trial in TRIALS if not _passes(url, trial, say)]
        return not wrong
    finally:
        service.terminate()
        service.communicate()


def _request(settings: Settings, say: Say) -> ServeRequest:
    _need_sklearn()
    folder = settings.bundles.home / "demo"
    folder.mkdir(parents=True, exist_ok=True)
    model, data = folder / "model.pickle", folder / "training.csv"
    if not (model.exists() and data.exists()):
        say("Training a gradient boosting pipeline on iris (150 flowers, 3 species) ...")
        _train(folder)
    return ServeRequest(
        sources=(f"iris={model}",), data=data, target=TARGET, labels=",".join(LABELS)
    )


def _need_sklearn() -> None:
    if importlib.util.find_spec("sklearn") is None:
        raise MissingExtra("scikit-learn", "sklearn", "the demo")


def _train(folder: Path) -> None:
    module = "modelway.composition.demo_training"
    command: Sequence[str] = [sys.executable, "-P", "-m", module, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, env=child_environment())
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        raise BuildFailed(f"the training of the demo failed: {last[0]}", hint="modelway doctor")


def _url_of(service: subprocess.Popen[str], say: Say) -> str:
    """The service's address, taken from the line that it prints when it is ready."""
    for line in service.stdout or ():
        say(line.rstrip())
        if line.startswith(SERVING):
            return line.split(" at ", 1)[1].split()[0]
    raise BuildFailed("the demo did not start", hint="modelway doctor")


def _passes(url: str, trial: Trial, say: Say) -> bool:
    say(f"GET {trial.query}")
    status, text = _get(url + trial.query)
    say(f"{status} {text}")
    compact = msgspec.json.encode(_decoded(text)).decode()
    right = status == trial.status and all(word in compact for word in trial.words)
    say("as expected" if right else f"expected {trial.status} with {', '.join(trial.words)}")
    return right


def _decoded(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.MsgspecError:
        return text


def _get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=10) as response:  # noqa: S310 - our own address
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except OSError as error:
        return 0, str(error)
