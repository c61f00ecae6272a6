"""Compiled text vectorisers count the words that scikit-learn counts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer

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
