"""The tagger: it learns, answers without torch, explains, and refuses what it cannot use."""

from __future__ import annotations

import copy
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from esperanto import names, sentences, small
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

import recurra
from recurra import Tagger
from recurra.errors import InputError, ModelError, NotFittedError, RecurraError, UsageError
from recurra.language.tagging import fitting
from recurra.language.tagging.batches import encoded
from recurra.language.tagging.spans import spans
from recurra.training import Recipe

UNSEEN = [["la", "tria", "blukalo", "fopas", "."], ["la", "melo", "grunde", "kuras", "la", "triko", "."]]
WANTED = [
    ["DET", "ADJ", "NOUN", "VERB", "PUNCT"],
    ["DET", "NOUN", "ADV", "VERB", "DET", "NOUN", "PUNCT"],
]


def test_it_learns_from_the_letters_of_words(tagger: Tagger) -> None:
    assert tagger.score(*sentences(50, seed=9)) > 0.98
    assert tagger.predict(UNSEEN) == WANTED
    assert set(tagger.classes_) == {"DET", "NOUN", "ADJ", "VERB", "ADV", "PUNCT"}


def test_probabilities_are_those_of_the_chain(tagger: Tagger) -> None:
    tokens, _ = sentences(5, seed=3)
    for words, found, tags in zip(tokens, tagger.predict_proba(tokens), tagger.predict(tokens), strict=True):
        assert found.shape == (len(words), len(tagger.classes_))
        np.testing.assert_allclose(found.sum(1), 1.0)
        assert [tagger.classes_[number] for number in found.argmax(1)] == tags


def test_without_torch_it_gives_what_the_trained_network_gives(tagger: Tagger) -> None:
    network = fitting._network(tagger, tagger.vocabulary_)
    network.load_state_dict({name: torch.from_numpy(array) for name, array in tagger.weights_.items()})
    tokens, _ = sentences(7, seed=5)
    tokens.append(["Ĉu", "ĝojo", "?"])
    with torch.no_grad():
        wanted = network.eval()(encoded(tagger.vocabulary_, tokens)[0]).numpy()
    for row, found in enumerate(tagger._running.scores(tokens)):
        np.testing.assert_allclose(found, wanted[row, : len(found)], rtol=1e-4, atol=1e-5)


def test_a_sentence_is_the_same_alone_and_beside_others(tagger: Tagger) -> None:
    tokens, _ = sentences(6, seed=4)
    together = tagger.predict_proba(tokens)
    for words, found in zip(tokens, together, strict=True):
        np.testing.assert_array_equal(tagger.predict_proba([words])[0], found)


def test_a_saved_tagger_answers_the_same(tagger: Tagger, tmp_path: Path) -> None:
    tagger.save(tmp_path / "model")
    for read in (Tagger.load, recurra.load):
        loaded = read(tmp_path / "model")
        assert isinstance(loaded, Tagger)
        assert loaded.predict(UNSEEN) == WANTED
        assert loaded.get_params() == tagger.get_params()
        assert loaded.outcome_ == tagger.outcome_
        np.testing.assert_array_equal(loaded.predict_proba(UNSEEN)[0], tagger.predict_proba(UNSEEN)[0])


def test_a_saved_tagger_needs_no_torch(tagger: Tagger, tmp_path: Path) -> None:
    tagger.save(tmp_path / "model")
    program = f"""
import sys
sys.modules["torch"] = None
import recurra
model = recurra.load({str(tmp_path / "model")!r})
assert model.predict({UNSEEN!r}) == {WANTED!r}
model.explain({UNSEEN[0]!r})
assert not {{"polars", "tokenizers", "matplotlib"}} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_fewer_bits_change_few_tags(tagger: Tagger, tmp_path: Path) -> None:
    other = copy.deepcopy(tagger)
    assert 0 <= other.pack("float16") <= 0.05
    other.save(tmp_path / "model")
    assert Tagger.load(tmp_path / "model").predict(UNSEEN) == WANTED
    with pytest.raises(UsageError, match="no such weights"):
        other.pack("int3")


def test_the_same_seed_gives_the_same_tagger_and_leaves_torch_alone() -> None:
    before = torch.get_rng_state()
    one, other = (small(steps=5, seed=3).fit(*sentences(40)) for _ in range(2))
    assert all(np.array_equal(one.weights_[name], other.weights_[name]) for name in one.weights_)
    assert torch.equal(before, torch.get_rng_state())


def test_a_training_that_was_killed_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = small(steps=12).fit(*sentences(60))
    calls = 0
    loss = fitting.TagProblem.loss

    def killed(self: Any, *arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 8:
            raise MemoryError
        return loss(self, *arguments)

    recipe = Tagger._recipe

    def often(self: Tagger, *arguments: Any) -> Recipe:
        return replace(recipe(self, *arguments), checkpoint_seconds=0.0)

    monkeypatch.setattr(fitting.TagProblem, "loss", killed)

    monkeypatch.setattr(Tagger, "_recipe", often)
    with pytest.raises(MemoryError):
        small(steps=12).fit(*sentences(60), checkpoint=tmp_path)
    resumed = small(steps=12).fit(*sentences(60), checkpoint=tmp_path)
    assert calls == 8 + 12 - 7
    assert all(np.array_equal(whole.weights_[name], resumed.weights_[name]) for name in whole.weights_)
    with pytest.raises(UsageError, match="other data"):
        small(steps=12).fit(*sentences(61), checkpoint=tmp_path)


def test_a_text_is_split_into_words_with_their_places(tagger: Tagger) -> None:
    text = "La granda domo kuras."
    found = tagger.tag(text)
    assert [text[word.start : word.stop] for word in found] == [word.word for word in found]
    assert [word.word for word in found] == ["La", "granda", "domo", "kuras", "."]
    assert all(0 < word.probability <= 1 for word in found)
    assert tagger.tag(" \n") == []


def test_the_most_probable_tags_come_first(tagger: Tagger) -> None:
    ((first, *_),) = tagger.top_k([["la", "domo"]], k=2)
    assert first[0][0] == "DET"
    assert first[0][1] > first[1][1]
    assert len(tagger.top_k([["la"]], k=99)[0][0]) == len(tagger.classes_)
    assert tagger.top_k([[]]) == [[]]
    for wrong in (0, 1.5, True):
        with pytest.raises(UsageError, match="k must be"):
            tagger.top_k([["la"]], wrong)  # type: ignore[arg-type]


def test_scikit_learn_can_clone_and_cross_validate() -> None:
    tokens, tags = sentences(60)
    assert clone(small(seed=7)).get_params() == small(seed=7).get_params()
    found = cross_val_score(small(steps=60), tokens, tags, cv=2)
    assert (found > 0.4).all()  # of a network that has hardly begun


def test_explanations_name_the_words_that_matter(tagger: Tagger) -> None:
    found = tagger.explain(["la", "blukalo", "fopas", "."])
    assert found.shape == (4, 4)
    assert (found.argmax(1) == np.arange(4)).all()
    assert (np.abs(found) <= 1).all()
    with pytest.raises(UsageError, match="at most 500"):
        tagger.explain(["la"] * 501)


def test_spans_are_only_such_as_can_be(namer: Tagger) -> None:
    assert namer.score(*names(30, seed=2)) == 1.0
    strange = [["Ludoviko"] * 3, ["Zamenhof", "en", "Zamenhof"], ["en"]]
    for tags in namer.predict(strange):
        for before, tag in zip(["O", *tags], tags, strict=False):
            assert not tag.startswith("I-") or before[2:] == tag[2:]
    chances = namer.predict_proba(strange)[0]
    assert chances[0, namer.classes_.index("I-PER")] == 0.0
    scores = namer.evaluate(*names(30, seed=2))
    assert scores.spans[0].f1 == 1.0
    assert {each.name for each in scores.spans} == {"all", "PER", "LOC"}


@settings(max_examples=30)
@given(st.lists(st.lists(st.text(max_size=40), max_size=6), max_size=4))
def test_any_words_get_a_tag_each(tagger: Tagger, tokens: list[list[str]]) -> None:
    found = tagger.predict(tokens)
    assert [len(tags) for tags in found] == [len(words) for words in tokens]
    assert {tag for tags in found for tag in tags} <= set(tagger.classes_)
    assert all(np.isfinite(each).all() for each in tagger.predict_proba(tokens))


@given(st.text(max_size=80))
def test_any_text_can_be_tagged(tagger: Tagger, text: str) -> None:
    for word in tagger.tag(text):
        assert text[word.start : word.stop] == word.word


def test_a_very_long_sentence_is_tagged(tagger: Tagger) -> None:
    (found,) = tagger.predict([["la", "domo"] * 5000])
    assert found[:2] == ["DET", "NOUN"]
    assert len(found) == 10_000


@pytest.mark.parametrize(
    ("tokens", "tags", "what"),
    [
        ([], [], "no sentence"),
        ([[]], [[]], "no sentence"),
        ([["a"]], [], "1 sentences and the tags of 0"),
        ([["a"], ["b", "c"]], [["X"], ["Y"]], "sentence 2 has 2 words and 1 tags"),
        (["ab"], [["X", "Y"]], "sentence 1 is no list of words"),
        ([["a", 3]], [["X", "Y"]], "sentence 1 is no list of words"),
        ([["a", "b"]], [["X", "X"]], "all words have the same tag"),
        ([["a", ""]], [["X", "Y"]], "empty word"),
        ([["a"] * 5001], [["X"] * 5001], "5,001 words"),
    ],
)
def test_bad_sentences_are_refused(tokens: list[list[str]], tags: list[list[str]], what: str) -> None:
    with pytest.raises(InputError, match=what):
        small().fit(tokens, tags)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hidden_size", 0),
        ("layers", 1.5),
        ("dropout", 1.0),
        ("dropout", True),
        ("cell", "lstmm"),
        ("cell", 3),
        ("learning_rate", -1.0),
        ("steps", 0),
        ("batch_size", True),
        ("seed", -1),
    ],
)
def test_bad_arguments_are_refused(name: str, value: object) -> None:
    with pytest.raises(UsageError):
        small(**{name: value}).fit(*sentences(30))


def test_without_the_extension_nothing_is_trained_in_vain(
    tagger: Tagger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tagger.save(tmp_path / "model")
    monkeypatch.setattr("recurra.native._extension", None)
    for use in (lambda: small().fit(*sentences(30)), lambda: Tagger.load(tmp_path / "model")):
        with pytest.raises(RecurraError, match="needs recurra's extension"):
            use()


def test_misuse_is_told() -> None:
    with pytest.raises(NotFittedError):
        small().predict([["a"]])
    with pytest.raises(NotFittedError):
        small().evaluate([["a"]], [["X"]])
    with pytest.raises(UsageError, match="lists of words"):
        small().predict("a text")  # type: ignore[arg-type]


def test_an_unknown_tag_counts_as_wrong(tagger: Tagger) -> None:
    scores = tagger.evaluate([["la", "domo"]], [["DET", "MISTERO"]])
    assert scores.accuracy == 0.5
    assert scores.confused == {("MISTERO", "NOUN"): 1}


def test_a_validation_of_ones_own_chooses_the_weights() -> None:
    held_out = sentences(10, seed=8)
    fitted = small(steps=20).fit(*sentences(40), validation=held_out)
    assert fitted.held_out_ == held_out
    assert fitted.outcome_.best_loss is not None
    few = small(steps=5).fit(*sentences(10))
    assert few.outcome_.best_loss is None


@pytest.mark.parametrize("cell", ["gru", "mingru"])
def test_other_cells_work(cell: str) -> None:
    assert small(cell=cell, layers=2).fit(*sentences(100)).score(*sentences(20, seed=1)) > 0.9


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("tags", ["X", "X"]),
        ("tags", []),
        ("words", ["a"]),
        ("grams", "abc"),
        ("gram_lengths", [1.5, 2]),
        ("gram_lengths", [0, 99]),
        ("words", None),
    ],
)
def test_a_damaged_vocabulary_is_refused(tagger: Tagger, part: str, change: object) -> None:
    fitted, weights, _ = tagger._state()
    fitted["vocabulary"][part] = change
    other = small()
    other._unpack(tagger._programs)
    with pytest.raises((ModelError, ValueError, TypeError)):
        other._restore(fitted, weights)


def test_damaged_weights_are_refused(tagger: Tagger) -> None:
    fitted, weights, _ = tagger._state()
    for name, change in (
        ("head.bias", None),
        ("head.bias", np.full_like(weights["head.bias"], np.nan)),
        ("embedding.weight", weights["embedding.weight"][1:]),
        ("chain.start", weights["chain.start"].astype(np.float64)),
        ("recurrent.layers.0.ahead.bias", np.zeros(3, np.float32)),
        ("characters.weight", weights["characters.weight"][:, :2]),
    ):
        other = small()
        other._unpack(tagger._programs)
        changed = {key: array for key, array in weights.items() if key != name}
        with pytest.raises(ModelError):
            other._restore(fitted, changed if change is None else {**changed, name: change})
    with pytest.raises(ModelError, match="missing"):
        small()._unpack({})


def test_spans_of_answers(namer: Tagger) -> None:
    words = ["Ludoviko", "Zamenhof", "kuras", "en", "Varsovio", "."]
    assert [tuple(span) for span in spans(namer.predict([words])[0])] == [(0, 2, "PER"), (4, 5, "LOC")]
