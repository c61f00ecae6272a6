"""A bundle as text for people, made of the same value that ``--json`` prints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from modelway.bundles.manifest import Manifest
from modelway.bundles.store import Bundle
from modelway.cli.rendering import table

_MOST_CATEGORIES = 6


def value_of(bundle: Bundle) -> dict[str, Any]:
    """What there is to say of a bundle, manifest, signature and record in one."""
    manifest: Manifest = bundle.manifest
    return {
        "folder": str(bundle.folder),
        "digest": bundle.digest,
        "compiled": manifest.is_compiled,
        "manifest": manifest,
        "signature": bundle.signature,
        "record": bundle.record,
    }


def text_of(value: Mapping[str, Any]) -> str:
    """The bundle in a few paragraphs: what it is, what goes in and out, how it was proven."""
    return "\n".join(
        [*_heading(value), "", *_signature(value["signature"]), "", *_parity(value["record"])]
    )


def _heading(value: Mapping[str, Any]) -> Iterator[str]:
    manifest, record = value["manifest"], value["record"]
    original = manifest["original"]
    yield f"{record['name']}  {value['digest']}"
    yield f"folder    {value['folder']}"
    yield f"task      {manifest['task']}"
    native = f" ({record['why_native']})" if record.get("why_native") else ""
    yield f"runtime   {manifest['runtime']}{native}"
    yield f"original  {original['framework']}, {original['format']}, {original['path']}"
    if record.get("written_with"):
        yield f"made with {_versions(record['written_with'])}"
    if manifest["libraries"]:
        yield f"read with {_versions(manifest['libraries'])}"
    yield f"built     {record['built_at']}"
    if record.get("metrics"):
        yield "metrics   " + ", ".join(f"{k} {v:.6g}" for k, v in record["metrics"].items())
    if manifest.get("classes"):
        names = value["signature"].get("label_names") or {}
        shown = (
            f"{label} ({names[str(label)]})" if str(label) in names else str(label)
            for label in manifest["classes"]
        )
        yield "classes   " + ", ".join(shown)
    if not manifest["batch_invariant"]:
        yield "note      answers may depend on the size of the batch, as the original's do"


def _versions(libraries: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {libraries[name]}" for name in sorted(libraries))


def _signature(signature: Mapping[str, Any]) -> Iterator[str]:
    if signature["columns"]:
        rows = [
            {
                "column": column["name"],
                "alias": None if column["alias"] == column["name"] else column["alias"],
                "type": column["datatype"] + ("?" if column["nullable"] else ""),
                "seen in training": _seen(column),
                "unit": column["unit"],
            }
            for column in signature["columns"]
        ]
        columns = ["column", "alias", "type", "seen in training", "unit"]
    else:
        rows = [
            {"tensor": one["name"], "type": one["datatype"], "shape": str(one["shape"])}
            for one in signature["tensors"]
        ]
        columns = ["tensor", "type", "shape"]
    shown = [one for one in columns if any(row[one] for row in rows)]
    yield from table(rows, shown).splitlines()


def _seen(column: Mapping[str, Any]) -> str | None:
    parts = []
    if column["categories"] is not None:
        few = [str(one) for one in column["categories"][:_MOST_CATEGORIES]]
        more = len(column["categories"]) - len(few)
        parts.append(", ".join(few) + (f" and {more} more" if more else ""))
    elif column["minimum"] is not None and column["maximum"] is not None:
        parts.append(f"{column['minimum']:.6g} to {column['maximum']:.6g}")
    if column["missing_ratio"]:
        parts.append(f"{column['missing_ratio']:.1%} missing")
    return "; ".join(parts) or None


def _parity(record: Mapping[str, Any]) -> Iterator[str]:
    parity = record.get("parity")
    if not parity:
        yield "parity    not compared: the bundle answers with the original itself"
        return
    verdict = "passed" if parity["passed"] else f"failed: {parity['reason']}"
    yield f"parity    {verdict}"
    rows = parity["rows"]
    kinds = ", ".join(f"{kind} {n:,}" for kind, n in rows.items())
    yield f"  rows compared     {sum(rows.values()):,} ({kinds})"
    yield f"  label flips       {parity['flips']}"
    largest, allowed = parity["largest_deviation"], parity["tolerance"]
    yield f"  largest deviation {largest:.3g} (allowed {allowed:.3g})"
    if parity.get("worst_row") is not None:
        yield f"  worst row         {parity['worst_row']}"
    if parity["self_disagreements"]:
        yield f"  rows on which the original disagrees with itself: {parity['self_disagreements']}"
