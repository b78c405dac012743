"""The list of mutants stays what it says."""

from __future__ import annotations

from collections import Counter

from tests.mutation.catalog import MODULES, SAMPLE, equivalents, every, sample


def test_listed_equivalents_are_mutants() -> None:
    texts = {mutant.text for module in MODULES for mutant in every(module)}
    assert set(equivalents()) <= texts


def test_texts_of_mutants_differ() -> None:
    texts = [mutant.text for module in MODULES for mutant in every(module)]
    assert len(set(texts)) == len(texts)


def test_sample_is_large_even_and_deterministic() -> None:
    tried = [mutant.text for mutant in sample()]
    assert tried == [mutant.text for mutant in sample()]
    assert len(tried) == SAMPLE
    assert len(set(tried) - set(equivalents())) >= 100
    counted = Counter(mutant.module for mutant in sample())
    # There is not much to change in the state, in conditions and in the order of undos.
    large = MODULES.keys() - {"conditions", "state", "undo_order"}
    assert all(counted[module] >= SAMPLE // len(MODULES) for module in large)
