"""``modelway batch``: rows that fail need no more memory than rows that do not."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

from modelway import __version__
from modelway.backends.jsonl_files import JsonlSplitter
from modelway.batch.manifest import Manifest, Options, fingerprint
from modelway.batch.parts import Done, Part
from modelway.batch.ports import Advanced, Finished
from modelway.bundles.store import open_bundle
from modelway.composition.batch_order import Order
from modelway.composition.batch_worker import PartScorer
from modelway.settings import InferenceSettings
from support.scored import rows_of
from support.served import FLOWER, compiled_bundle, flower_graph

N_ROWS = 16_000
MOST_BYTES = 8 * 1024 * 1024


def test_a_part_of_nothing_but_damaged_rows_is_not_held_in_memory(tmp_path: Path) -> None:
    bundle = compiled_bundle(tmp_path / "flower", flower_graph(), FLOWER, classes=(0, 1, 2))
    source, output = tmp_path / "rows.jsonl", tmp_path / "scored.csv"
    source.write_text(("{" + "x" * 1000 + "\n") * N_ROWS)
    (span,) = JsonlSplitter().spans(source)
    options = Options("csv", None, ("id",), 100, strict=False)
    inputs = (fingerprint(source),)
    order = Order(
        folder=str(bundle),
        inputs=(str(source),),
        output=str(output),
        beside=str(output),
        manifest=Manifest(__version__, open_bundle(bundle).digest, options, inputs),
        kept=("id",),
        max_errors=N_ROWS,
        inference=InferenceSettings(),
        allow_pickle=False,
        run="one",
    )
    parts = tmp_path / "scored.csv.parts"
    parts.mkdir()
    scorer = PartScorer(order)
    tracemalloc.start()
    *advanced, last = scorer.score(Part(0, 0, span))
    _, most_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sum(one.n_rows for one in advanced if isinstance(one, Advanced)) == N_ROWS
    assert last == Finished(0, Done(0, N_ROWS))
    assert most_bytes < MOST_BYTES < source.stat().st_size
    listed = (parts / "00000000.errors").rename(tmp_path / "errors.jsonl")
    assert [one["row"] for one in rows_of(listed)] == list(range(1, N_ROWS + 1))
    assert sorted(one.name for one in parts.iterdir()) == ["00000000.json", "00000000.rows"]
