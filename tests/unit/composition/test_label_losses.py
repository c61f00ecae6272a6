"""Losses read from records are those that plain sums give row by row."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from modelway.bundles.digest import bundle_digest
from modelway.composition.control import Control
from modelway.composition.label_losses import LabelLosses
from modelway.domain.identifiers import new_prediction_id
from modelway.domain.inference import InferenceRequest, InferenceResponse, Outputs
from modelway.domain.signature import Column, Datatype, Scalar, Signature
from modelway.domain.tables import Table
from modelway.endpoints.comparison import ArmCounts
from modelway.endpoints.endpoint import Canary, Endpoint, Role
from modelway.endpoints.losses import Loss
from modelway.endpoints.sequential import Moments
from modelway.endpoints.trials import Arm, Tally, Trial, Trials
from modelway.records.identity import Identity
from modelway.records.labels import Label
from modelway.records.recorder import Recorder
from modelway.records.told import Answered
from support.canaries import controlled, moved
from support.recording import Counted
from support.served import compiled_bundle, flower_graph, function_bundle, ratio_graph

TWO = Signature(columns=(Column("a", "a", Datatype.FP64), Column("b", "b", Datatype.FP64)))
ROLES = {"1": Role.LIVE, "2": Role.CANARY, "3": Role.SHADOW}
FLOWERS = (0, 1, 2)


@pytest.fixture
def control(tmp_path: Path) -> Iterator[Control]:
    """A home, and no model yet."""
    with controlled(tmp_path / "home") as opened:
        yield opened


@dataclass
class Desk:
    """An endpoint with a canary and a shadow, whose bundles are all the same."""

    control: Control
    classes: tuple[Scalar, ...] | None

    def on_trial(self, bundle: Path) -> None:
        """Have version 1 be live, 2 a canary, 3 a shadow."""
        digest = bundle_digest(bundle)
        kept = self.control.home.path / "bundles" / digest.removeprefix("sha256:")
        shutil.copytree(bundle, kept)
        for version in ROLES:
            self.control.store.links.link("rule", version, digest, None)
        moved(self.control, "1")
        endpoint = Endpoint("rule", "rule@champion", (Canary("rule:2", 0.5),), ("rule:3",))
        self.control.rollouts.create(endpoint, "ann")

    @property
    def trial(self) -> Trial:
        """The trial of now."""
        store = self.control.store
        (found,) = Trials(store.endpoints, store.ledger, store.links).now()
        return found

    def record(self, *told: Sequence[Answered], slot: str = "0") -> None:
        """Record answers, as the processes that gave them do."""

        def identify(endpoint: str, version: str | None, _: bool) -> Identity:
            role = ROLES[version or "1"]
            return Identity("rule", version, "sha256:0", role, self.classes)

        recorder = Recorder(self.control.records_root, slot, identify, Counted())
        for one in told:
            recorder.answered(one)
        recorder.close()

    def label(self, ids: Sequence[str], values: Sequence[Scalar], row: int = 0) -> None:
        """Have labels come."""
        at = datetime.now(UTC)
        labels = [
            Label(id, row, value, at, at, "ann") for id, value in zip(ids, values, strict=True)
        ]
        self.control.store.labels.add(labels)

    def counted(self) -> dict[tuple[Arm, str], Tally]:
        """What is brought to the store."""
        assert LabelLosses(self.control).bring([self.trial])
        return dict(self.control.store.trials.arms(self.trial.key))


def answers(version: str, outputs: Sequence[Outputs], ids: Sequence[str]) -> list[Answered]:
    """One request of one row for each output."""
    return [
        (
            InferenceRequest("rule", Table(TWO, 1, cells=((1.0, 2.0),))),
            InferenceResponse("rule", version, id, one, 1),
            0.0,  # it came after its trial had begun, however quick this machine is
        )
        for id, one in zip(ids, outputs, strict=True)
    ]


def named(n: int) -> list[str]:
    return [new_prediction_id() for _ in range(n)]


def moments(values: Sequence[float]) -> Moments:
    found = Moments()
    for value in values:
        found.add(value)
    return found


def is_near(found: Moments, values: Sequence[float]) -> bool:
    wanted = moments(values)
    return found.n == wanted.n and np.allclose((found.mean, found.m2), (wanted.mean, wanted.m2))


Draw = Callable[[int], tuple[list[Outputs], list[int], list[list[float]]]]


def drawn(seed: int) -> Draw:
    """Answers of a classifier of three classes."""
    generator = np.random.default_rng(seed)

    def draw(n: int) -> tuple[list[Outputs], list[int], list[list[float]]]:
        probabilities = generator.dirichlet((1, 1, 1), n)
        places = probabilities.argmax(axis=1)
        outputs: list[Outputs] = [
            {"class_index": places[k : k + 1], "probabilities": probabilities[k : k + 1]}
            for k in range(n)
        ]
        return outputs, places.tolist(), probabilities.tolist()

    return draw


def brier(label: Scalar, classes: Sequence[Scalar], probabilities: Sequence[float]) -> float:
    """Half the squared distance from the label's own probabilities, at most 1."""
    pairs = zip(probabilities, classes, strict=True)
    return min(
        1.0,
        0.5 * sum((p - float(one == label)) ** 2 for p, one in pairs)
        + (0.0 if label in classes else 0.5),
    )


@pytest.mark.parametrize(
    ("classes", "labels"),
    [
        (FLOWERS, [0, 1, 2, 2.0, 7]),
        (("no", "yes", "may'be"), ["no", "yes", "may'be", "other", "yes"]),
        ((0.5, 1.5, 2.0), [0.5, 2, 1.5, 9.25, 0.5]),
    ],
)
def test_brier_of_every_arm(
    control: Control, tmp_path: Path, classes: tuple[Scalar, ...], labels: list[Scalar]
) -> None:
    desk = Desk(control, classes)
    desk.on_trial(compiled_bundle(tmp_path / "b", flower_graph(), TWO, classes=classes))
    draw, wanted = drawn(7), {}
    for version in ("1", "2"):
        ids = named(5)
        outputs, _, probabilities = draw(5)
        desk.record(answers(version, outputs, ids), slot=version)
        desk.label(ids, labels)
        wanted[version] = [
            brier(label, classes, row) for label, row in zip(labels, probabilities, strict=True)
        ]
    found = desk.counted()
    for arm, version in ((Arm.LIVE, "1"), (Arm.CANARY, "2")):
        counts = found[arm, version].counts
        assert (counts.requests, counts.loss, counts.targets) == (0, Loss.BRIER, Moments())
        assert is_near(counts.losses, wanted[version])


def test_a_shadow_is_compared_row_by_row(control: Control, tmp_path: Path) -> None:
    desk = Desk(control, FLOWERS)
    desk.on_trial(compiled_bundle(tmp_path / "b", flower_graph(), TWO, classes=FLOWERS))
    draw, ids = drawn(11), named(6)
    live, live_places, live_chances = draw(6)
    shadow, places, chances = draw(6)
    desk.record(answers("1", live, ids), answers("3", shadow[:5], ids[:5]))
    assert LabelLosses(control).bring([desk.trial])
    unlabelled = control.store.trials.arms(desk.trial.key)[Arm.SHADOW, "3"]
    assert unlabelled.counts == ArmCounts()
    apart = [np.abs(np.subtract(a, b)).max() for a, b in zip(live_chances, chances, strict=True)]
    differing = sum(a != b for a, b in zip(live_places[:5], places[:5], strict=True))
    pairs = unlabelled.paired
    assert pairs is not None
    assert (pairs.rows, pairs.disagreements, pairs.differences) == (5, differing, Moments())
    assert pairs.largest == pytest.approx(max(apart[:5]))
    labels = [0, 1, 2, 0]
    desk.label([*ids[:3], ids[5]], labels)
    found = desk.counted()

    theirs = [brier(labels[k], FLOWERS, live_chances[k]) for k in range(3)]
    its = [brier(labels[k], FLOWERS, chances[k]) for k in range(3)]
    paired = found[Arm.SHADOW, "3"].paired
    assert paired is not None
    assert (paired.rows, paired.loss) == (5, Loss.BRIER)
    assert is_near(paired.differences, [b - a for a, b in zip(theirs, its, strict=True)])
    assert is_near(found[Arm.BESIDE, "3"].counts.losses, theirs)
    assert is_near(found[Arm.SHADOW, "3"].counts.losses, its)
    assert found[Arm.LIVE, "1"].counts.labels == 4


def test_a_shadow_that_answers_under_other_names_is_recorded_and_not_compared(
    control: Control, tmp_path: Path
) -> None:
    desk = Desk(control, FLOWERS)
    desk.on_trial(compiled_bundle(tmp_path / "b", flower_graph(), TWO, classes=FLOWERS))
    ids = named(3)
    live, *_ = drawn(11)(3)
    other: list[Outputs] = [{"score": np.array([0.5])} for _ in ids]
    odd: list[Outputs] = [
        {"prediction": np.array([1]), "probabilities": np.array(["none"], object)} for _ in ids
    ]
    desk.record(answers("1", live, ids), answers("3", other[:2], ids[:2]))
    desk.record(answers("3", odd[2:], ids[2:]), slot="1")
    paired = desk.counted()[Arm.SHADOW, "3"].paired
    assert paired is not None
    assert paired.rows == 1


def test_numbers_lose_their_distance(control: Control, tmp_path: Path) -> None:
    desk = Desk(control, None)
    desk.on_trial(compiled_bundle(tmp_path / "b", ratio_graph(), TWO))
    ids, values, labels = named(3), [1.5, -2.0, 4.0], [1, 2.5, 4]
    flat: list[Outputs] = [{"prediction": np.array([value])} for value in values]
    further: list[Outputs] = [{"prediction": np.array([value + 0.5])} for value in values]
    desk.record(answers("1", flat, ids), answers("3", further, ids))
    desk.label(ids, labels)
    found = desk.counted()
    wanted = [abs(a - b) for a, b in zip(labels, values, strict=True)]
    live = found[Arm.LIVE, "1"].counts
    assert live.loss is Loss.ABSOLUTE
    assert is_near(live.losses, wanted)
    assert is_near(live.targets, labels)
    paired = found[Arm.SHADOW, "3"].paired
    assert paired is not None
    assert (paired.rows, paired.disagreements, paired.largest) == (3, 3, 0.5)


def test_a_rule_that_answers_words_is_right_or_wrong(control: Control, tmp_path: Path) -> None:
    desk = Desk(control, None)
    desk.on_trial(function_bundle(tmp_path / "b", "def rule(a, b):\n    return 'x'\n", "rule", TWO))
    ids = named(3)
    outputs: list[Outputs] = [
        {"prediction": np.array([word], dtype=object)} for word in ("grant", "refuse", "grant")
    ]
    desk.record(answers("2", outputs, ids))
    desk.label(ids, ["grant", "grant", "grant"])
    counts = desk.counted()[Arm.CANARY, "2"].counts
    assert counts.loss is Loss.WRONG
    assert is_near(counts.losses, [0.0, 1.0, 0.0])


def test_what_cannot_be_compared_is_left_out_and_said(
    control: Control, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    desk = Desk(control, FLOWERS)
    desk.on_trial(compiled_bundle(tmp_path / "b", flower_graph(), TWO, classes=FLOWERS))
    ids = named(3)
    outputs, _, _ = drawn(3)(3)
    desk.record(answers("1", outputs, ids))
    desk.label(ids, [1, "setosa", True])
    assert desk.counted()[Arm.LIVE, "1"].counts.labels == 1
    assert "labels of another type than the answers are left out" in caplog.text


def test_what_was_answered_before_the_trial_does_not_count(
    control: Control, tmp_path: Path
) -> None:
    desk = Desk(control, FLOWERS)
    desk.on_trial(compiled_bundle(tmp_path / "b", flower_graph(), TWO, classes=FLOWERS))
    ids = named(2)
    outputs, _, _ = drawn(3)(2)
    desk.record(answers("1", outputs, ids))
    desk.label(ids, [1, 2])
    later = replace(desk.trial, began=datetime.now(UTC) + timedelta(hours=1))
    LabelLosses(control).bring([later])
    assert control.store.trials.arms(later.key) == {}


def test_records_are_read_only_when_there_is_something_new(
    control: Control, tmp_path: Path
) -> None:
    desk = Desk(control, FLOWERS)
    desk.on_trial(compiled_bundle(tmp_path / "b", flower_graph(), TWO, classes=FLOWERS))
    control.rollouts.end("rule", "rule:3", "ann")
    losses = LabelLosses(control)
    assert not losses.bring([])
    assert not losses.bring([desk.trial])  # no label at all
    ids = named(2)
    outputs, _, _ = drawn(3)(2)
    desk.record(answers("1", outputs, ids))
    desk.label(ids[:1], [1])
    assert losses.bring([desk.trial])
    assert not losses.bring([desk.trial])
    desk.label(ids[1:], [2])
    assert losses.bring([desk.trial])
    # Whoever reads the same records rewrites the same row.
    assert LabelLosses(control).bring([desk.trial])
    assert control.store.trials.arms(desk.trial.key)[Arm.LIVE, "1"].counts.labels == 2
