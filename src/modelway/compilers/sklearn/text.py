"""Text vectorisers: words of a text column, counted and weighted.

Lower case, words, n-grams and counts are operators of ONNX Runtime; weights are float64 arithmetic.
The operators split and lower letters as Python does, with two letters apart. Python lowers ``İ`` to
``i`` and a combining dot, which ends a word; the pattern below lets it end one. Python lowers ``Σ``
to ``ς`` at the end of a word and to ``σ`` elsewhere, the operator always to ``σ``; so a vocabulary
with either letter is not compiled, and in any other no word with a ``Σ`` counts.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from modelway.bundles.manifest import MISSING_TEXT
from modelway.compilers.compilation import Compilation
from modelway.compilers.features import Features, numbers
from modelway.compilers.graph import Graph
from modelway.compilers.sklearn.scalers import row_normalized
from modelway.domain.errors import NotCompilable

# Python's \w is exactly the letters, the numbers and the underscore.
_WORD = r"[\p{L}\p{N}_]"
_WORD_BUT_DOTTED_I = r"(?:[^\P{L}İ]|[\p{N}_])"
_SIGMAS = "σς"
_DEFAULT_PATTERN = r"(?u)\b\w\w+\b"


def counts(g: Graph, estimator: Any, text: str) -> str:
    """``CountVectorizer.transform``: double (n_rows, n_words); ``text`` is (n_rows, 1).

    Raises:
        NotCompilable: the vectoriser does something to the text that no operator does.
    """
    if (
        estimator.analyzer,
        estimator.strip_accents,
        estimator.preprocessor,
        estimator.tokenizer,
    ) != (
        "word",
        None,
        None,
        None,
    ):
        raise NotCompilable("a text vectoriser with its own analysis of the text")
    if estimator.token_pattern != _DEFAULT_PATTERN:
        raise NotCompilable(f"the token pattern {estimator.token_pattern!r}")
    shortest, longest = estimator.ngram_range
    if estimator.get_stop_words() and longest > 1:
        raise NotCompilable("stop words together with n-grams")
    if estimator.lowercase and any(set(_SIGMAS) & set(entry) for entry in estimator.vocabulary_):
        raise NotCompilable("a vocabulary with a Greek sigma, which has two lower-case forms")
    words = g.op(
        "Tokenizer",
        g.flatten(text),
        domain="com.microsoft",
        mark=0,
        mincharnum=2,
        pad_value=MISSING_TEXT,
        tokenexp=_token_pattern(lowered=estimator.lowercase),
    )
    # Operators refuse a batch without a single word, so every row ends in one that counts for none.
    end = np.array(MISSING_TEXT)
    words = g.concatenate([words, g.op("Where", g.op("Equal", text, end), end, end)])
    if estimator.lowercase:
        words = _lowered(g, words)
    number = g.cast(_ngrams(g, words, estimator.vocabulary_, shortest, longest), "double")
    return g.op("Min", number, 1.0) if estimator.binary else number


def _token_pattern(*, lowered: bool) -> str:
    if not lowered:
        return rf"{_WORD}{{2,}}"
    return rf"{_WORD_BUT_DOTTED_I}+İ|{_WORD_BUT_DOTTED_I}{{2,}}"


def _lowered(g: Graph, words: str) -> str:
    """Every word in lower case; the operator takes one axis only."""
    shape = g.op("Shape", words)
    flat = g.op("StringNormalizer", g.flatten(words), case_change_action="LOWER", locale="C.UTF-8")
    return g.op("Reshape", flat, shape)


def _ngrams(g: Graph, words: str, vocabulary: Any, shortest: int, longest: int) -> str:
    """How often each entry of the vocabulary occurs, float (n_rows, n_words)."""
    by_length: dict[int, list[tuple[list[str], int]]] = {}
    for entry, place in vocabulary.items():
        parts = entry.split(" ")
        by_length.setdefault(len(parts), []).append((parts, int(place)))
    if set(by_length) - set(range(shortest, longest + 1)):
        raise NotCompilable("a vocabulary with entries that are not its n-grams")
    pool: list[str] = []
    starts: list[int] = []
    places: list[int] = []
    for length in range(1, longest + 1):
        starts.append(len(pool))
        for parts, place in sorted(by_length.get(length, []), key=lambda entry: entry[1]):
            pool += parts
            places.append(place)
    return g.op(
        "TfIdfVectorizer",
        words,
        mode="TF",
        min_gram_length=shortest,
        max_gram_length=longest,
        max_skip_count=0,
        ngram_counts=starts,
        ngram_indexes=places,
        pool_strings=pool,
    )


def weighted_counts(g: Graph, estimator: Any, value: str) -> str:
    """``TfidfTransformer.transform``: double (n_rows, n_words)."""
    if estimator.sublinear_tf:
        present = g.op("Greater", value, 0.0)
        logarithm = g.op("Add", g.op("Log", g.op("Where", present, value, 1.0)), 1.0)
        value = g.op("Where", present, logarithm, value)
    if estimator.use_idf:
        value = g.op("Mul", value, np.asarray(estimator.idf_, dtype=np.float64))
    return value if estimator.norm is None else row_normalized(g, value, estimator.norm)


def count_vectorizer(c: Compilation, estimator: Any, features: Features) -> Features:
    """``CountVectorizer`` of one text column."""
    number = counts(c.graph, estimator, _one_text(c, features))
    return numbers(number, len(estimator.vocabulary_), sparse=True)


def tfidf_vectorizer(c: Compilation, estimator: Any, features: Features) -> Features:
    """``TfidfVectorizer`` of one text column: counted, then weighted."""
    number = counts(c.graph, estimator, _one_text(c, features))
    value = weighted_counts(c.graph, estimator._tfidf, number)
    return numbers(value, len(estimator.vocabulary_), sparse=True)


def tfidf_transformer(c: Compilation, estimator: Any, features: Features) -> Features:
    """``TfidfTransformer`` of counts."""
    value = weighted_counts(c.graph, estimator, features.matrix(c.graph))
    return numbers(value, features.width, sparse=True)


def _one_text(c: Compilation, features: Features) -> str:
    if features.width != 1:
        raise NotCompilable("a text vectoriser of several columns")
    return features.text(c.graph)


TRANSFORMERS = {
    "sklearn.feature_extraction.text.CountVectorizer": count_vectorizer,
    "sklearn.feature_extraction.text.TfidfVectorizer": tfidf_vectorizer,
    "sklearn.feature_extraction.text.TfidfTransformer": tfidf_transformer,
}
