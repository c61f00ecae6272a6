"""The signature of a model that is being built: what all sources know, and what asking it shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from modelway.bundles.acceptance import check_answers, closed_columns, nullable_columns
from modelway.bundles.inferring import ColumnFacts, SignatureFacts, facts_of, merged
from modelway.bundles.order import BuildOrder, Tools
from modelway.bundles.ports import Description, Runtime
from modelway.bundles.training import TrainingData, facts_of_training, reference_table
from modelway.domain.errors import InvalidSignature
from modelway.domain.signature import Column, Datatype, Scalar, Signature

GUESSED = "sklearn"
"""The framework that knows names at most: a pipeline says neither types nor what may be missing."""

_TEXT = (Datatype.STRING, Datatype.BYTES)


def signature_of(
    order: BuildOrder,
    tools: Tools,
    description: Description,
    opened: Callable[[Signature, TrainingData | None], Runtime],
) -> tuple[TrainingData | None, Signature]:
    """The training data, if there is any, and the signature.

    ``opened`` gives the model itself for a signature and training data; it is asked what it
    accepts where nobody says so.

    Raises:
        InvalidSignature: nothing says what the model takes, what says so contradicts it, the
            labels are not as many as its classes, or whole numbers are too large.
        BuildFailed: the model fails on an ordinary row.
    """
    own = description.signature
    explicit = [order.signature] if order.signature else []
    logged = [order.source.signature] if order.source.signature else []
    guessed = order.source.framework == GUESSED
    known = _known_of(own, categories_only=guessed)
    training = _training(order, tools, description, [*explicit, *logged])
    seen = [facts_of_training(training)] if training else []
    signature = merged([*explicit, *logged, *known, *seen], own)
    training = training.called([c.name for c in signature.columns]) if training else None
    if training:
        training.check_exact()
    if guessed and signature.is_tabular:
        reference = reference_table(training, signature) if training else None
        row = reference.rows(slice(0, 1)) if reference else tools.sample(signature)
        runtime = opened(signature, training)
        check_answers(runtime, row, description.classes, is_made_up=reference is None)
        closed = [closed_columns(runtime, row, training)] if training else []
        nullable = nullable_columns(runtime, row)
        signature = merged([*explicit, *closed, *logged, *known, *seen, nullable], own)
    return training, _with_labels(signature, order.labels, description.classes)


def _known_of(own: Signature | None, *, categories_only: bool) -> list[SignatureFacts]:
    """What a model knows better than its training data does.

    Where ``categories_only``, that is the columns of which it has the categories and no other.
    """
    columns = own.columns if own else ()
    facts = tuple(_known(c) for c in columns if c.categories or not categories_only)
    return [SignatureFacts("the model", facts)] if facts else []


def _known(column: Column) -> ColumnFacts:
    """What a model that knows its columns says of one; FP64 and "not nullable" say nothing."""
    (facts,) = facts_of(Signature((column,))).columns
    return ColumnFacts(
        facts.name,
        datatype=None if column.datatype is Datatype.FP64 else column.datatype,
        nullable=column.nullable or None,
        optional=column.optional or None,
        categories=facts.categories,
        closed=column.closed or None,
    )


def _training(
    order: BuildOrder,
    tools: Tools,
    description: Description,
    sources: Sequence[SignatureFacts],
) -> TrainingData | None:
    """The rows of ``--data``; what better sources call text or dates is read as such."""
    if order.data is None:
        return None
    own = description.signature
    if own is not None and not own.is_tabular:
        raise InvalidSignature("the model takes tensors; --data describes columns")
    texts, dates = set(), set()
    for facts in (column for source in sources for column in source.columns):
        if facts.datatype in _TEXT:
            texts.add(facts.name)
        elif facts.datatype is Datatype.DATETIME:
            dates.add(facts.name)
    # A matrix holds categories as numbers, whatever they are called.
    if own is not None and description.layout == "columns":
        texts |= {column.name for column in own.columns if column.is_text}
        dates |= {c.name for c in own.columns if c.datatype is Datatype.DATETIME}
    return tools.read_training(order.data, order.target, texts, dates)


def _with_labels(
    signature: Signature, labels: Sequence[str], classes: Sequence[Scalar] | None
) -> Signature:
    """The signature with the labels' names, given in the order of the classes.

    Raises:
        InvalidSignature: they are not as many as the classes, or the signature itself names labels
            that the model does not have.
    """
    if not labels:
        known = [str(one) for one in classes or ()]
        unknown = [one for one in signature.label_names if one not in known]
        if unknown:
            raise InvalidSignature(
                f"[label_names] names {', '.join(unknown)}, which the model never gives",
                hint=f"its classes are: {', '.join(known)}"
                if known
                else "the model has no classes",
            )
        return signature
    if classes is None or len(labels) != len(classes):
        has = "no classes" if classes is None else f"{len(classes)}: {', '.join(map(str, classes))}"
        raise InvalidSignature(f"--labels names {len(labels)} classes; the model has {has}")
    names = {str(one): name for one, name in zip(classes, labels, strict=True)}
    return replace(signature, label_names=names)
