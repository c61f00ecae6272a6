"""A bundle as text for people."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from modelway.bundles.store import open_bundle
from modelway.cli.bundle_text import text_of, value_of

GOLDEN = Path(__file__).parents[2] / "golden" / "format-1-compiled"


def test_who_wrote_a_model_is_told_from_who_read_it() -> None:
    value: dict[str, Any] = msgspec.to_builtins(value_of(open_bundle(GOLDEN)), enc_hook=str)
    value["manifest"]["libraries"] = {"scikit-learn": "1.9.1", "numpy": "2.1"}
    lines = text_of(value).splitlines()
    assert "read with numpy 2.1, scikit-learn 1.9.1" in lines
    assert not [line for line in lines if line.startswith("made with")]
    value["record"]["written_with"] = {"scikit-learn": "1.0.1"}
    assert "made with scikit-learn 1.0.1" in text_of(value).splitlines()
