"""Compiled text vectorisers count the words that scikit-learn counts."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer

from modelway.compilers.graph import Graph
from modelway.compilers.sklearn.text import _lowered
from modelway.domain.errors import NotCompilable
from support.transforming import compiled_transform, original_transform

TEXTS = [
    "Hello world, hello İstanbul İ İİ",
    "a an the quick_brown fox 42",
    "",
    "ÀÉ déjà vu Ünïcode 東京都 x",
    "İİ İx xİ xİy",
    "one",
    "One ONE oNe two; two-three",
] * 3


@pytest.mark.parametrize(
    "vectorizer",
    [
        CountVectorizer(),
        CountVectorizer(ngram_range=(1, 2)),
        CountVectorizer(ngram_range=(2, 2)),
        CountVectorizer(binary=True, lowercase=False),
        TfidfVectorizer(),
        TfidfVectorizer(ngram_range=(1, 3), sublinear_tf=True, min_df=2),
        TfidfVectorizer(stop_words="english", norm="l1"),
    ],
    ids=str,
)
def test_words_are_counted_alike(vectorizer: Any) -> None:
    frame = pd.DataFrame({"text": np.array(TEXTS, dtype=object)})
    transformer = make_column_transformer((vectorizer, "text")).fit(frame)
    np.testing.assert_allclose(
        compiled_transform(transformer, frame),
        original_transform(transformer, frame),
        rtol=0,
        atol=1e-15,
    )


@pytest.mark.parametrize(
    "vectorizer",
    [
        CountVectorizer(analyzer="char"),
        CountVectorizer(strip_accents="unicode"),
        CountVectorizer(token_pattern=r"\w+"),
        CountVectorizer(ngram_range=(1, 2), stop_words=["the"]),
        CountVectorizer(vocabulary=["hello", "καλός"]),
        TfidfVectorizer(ngram_range=(1, 2), vocabulary=["one", "two σας"]),
    ],
    ids=str,
)
def test_what_no_operator_does_is_refused(vectorizer: Any) -> None:
    frame = pd.DataFrame({"text": np.array(TEXTS, dtype=object)})
    transformer = make_column_transformer((vectorizer, "text")).fit(frame)
    with pytest.raises(NotCompilable):
        compiled_transform(transformer, frame)


def test_a_text_without_a_word_is_counted_when_it_comes_alone() -> None:
    frame = pd.DataFrame({"text": np.array(TEXTS, dtype=object)})
    transformer = make_column_transformer((TfidfVectorizer(), "text")).fit(frame)
    for text in ("", " ", "x", "\x00"):
        alone = pd.DataFrame({"text": np.array([text], dtype=object)})
        assert not compiled_transform(transformer, alone).any()


def test_letters_are_lowered_as_python_lowers_them_but_two() -> None:
    """Every character of Unicode alone, after, before and between letters of both cases."""
    graph = Graph()
    words = _lowered(graph, graph.input("X", "string", 1))
    graph.output("lowered", words, "string", ("n_rows", 1))
    session = onnxruntime.InferenceSession(graph.serialized())
    letters = [chr(i) for i in range(1, 0x110000) if not 0xD800 <= i < 0xE000]
    texts = [f"{one} a{one} {one}b a{one}b A{one} {one}B A{one}B" for one in letters]
    (lowered,) = session.run(None, {"X": np.array(texts, dtype=object)[:, None]})
    triples = zip(letters, texts, lowered[:, 0], strict=True)
    assert [one for one, text, given in triples if given != text.lower()] == ["İ", "Σ"]


@pytest.mark.parametrize("text", ["ΚΑΛΌΣ hello", "hello ΣΑΣ", "ΟΔΟΣ'hello", "Σ one Σ"])
def test_a_sigma_in_a_request_counts_for_nothing(text: str) -> None:
    frame = pd.DataFrame({"text": np.array([*TEXTS, text], dtype=object)})
    transformer = make_column_transformer((CountVectorizer(ngram_range=(1, 2)), "text"))
    transformer.fit(frame.iloc[: len(TEXTS)])
    given = compiled_transform(transformer, frame)
    np.testing.assert_array_equal(given, original_transform(transformer, frame))


def test_without_lowering_a_sigma_is_a_letter_as_any_other() -> None:
    frame = pd.DataFrame({"text": np.array(["ΣΑΣ σας", "καλός ΚΑΛΌΣ", "ς"], dtype=object)})
    transformer = make_column_transformer((CountVectorizer(lowercase=False), "text")).fit(frame)
    given = compiled_transform(transformer, frame)
    np.testing.assert_array_equal(given, original_transform(transformer, frame))
