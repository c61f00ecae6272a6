"""The process in which a bundle is built: an order on standard input, an answer on standard output.

Its one argument is the id of the process that started it, with which it ends.
Reading a model may run code and print anything, so what it prints goes to standard error and the
answer, one line of JSON, to a copy of standard output that was made before.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from modelway.bundles.building import build_bundle
from modelway.bundles.order import BuildOrder, Tools
from modelway.composition.process_groups import end_with
from modelway.domain.errors import BuildFailed, ModelwayError


class Failure(msgspec.Struct, frozen=True):
    """An error of our tree: its code, and what else it carries."""

    code: str
    attributes: Mapping[str, Any]


class Answer(msgspec.Struct, frozen=True):
    """What a build ended with: ``notes`` for whoever ordered it, or why it failed."""

    notes: tuple[str, ...] = ()
    failure: Failure | None = None


def encode_order(order: BuildOrder) -> bytes:
    """The order as JSON."""
    return msgspec.json.encode(order, enc_hook=str)


def decode_order(raw: bytes) -> BuildOrder:
    """The order that ``encode_order`` wrote."""
    return msgspec.json.decode(raw, type=BuildOrder, dec_hook=lambda kind, value: kind(value))


def failure_of(error: ModelwayError) -> Failure:
    """The error, as it travels."""
    return Failure(error.code, msgspec.to_builtins(vars(error), enc_hook=str))


def error_of(failure: Failure) -> ModelwayError:
    """The error that travelled, of its own class again."""
    kind = next((k for k in _tree(ModelwayError) if k.code == failure.code), BuildFailed)
    error = kind.__new__(kind)
    ModelwayError.__init__(error, str(failure.attributes.get("message", failure.code)))
    vars(error).update(failure.attributes)
    return error


def main() -> None:
    """Build what standard input orders and answer on standard output."""
    end_with(int(sys.argv[1]))
    answers = os.dup(1)
    os.dup2(2, 1)
    answer = _answer(sys.stdin.buffer.read())
    sys.stdout.flush()
    os.write(answers, msgspec.json.encode(answer) + b"\n")
    sys.stderr.flush()
    # What a model has started (threads, exit functions) must not hold up or spoil the answer.
    os._exit(0)


def _answer(raw: bytes) -> Answer:
    from modelway.composition.frameworks import compiler, framework
    from modelway.composition.training_data import read_training
    from modelway.inference.samples import sample_table

    try:
        order = decode_order(raw)
        tools = Tools(framework, compiler, read_training, sample_table)
        return Answer(notes=tuple(build_bundle(order, tools)))
    except ModelwayError as error:
        return Answer(failure=failure_of(error))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it was, the order is answered
        traceback.print_exc()
        said = f"{type(error).__name__}: {error}"[:500]
        return Answer(failure=failure_of(BuildFailed(f"the build failed: {said}")))


def _tree(root: type[ModelwayError]) -> Iterator[type[ModelwayError]]:
    yield root
    for child in root.__subclasses__():
        yield from _tree(child)


if __name__ == "__main__":
    main()
