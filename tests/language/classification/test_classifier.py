"""The classifier: what it learns, what it says, what it keeps and what it refuses."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone, is_classifier
from sklearn.model_selection import cross_val_score
from small_reviews import reviews, tiny

import recurra
from recurra.errors import InputError, ModelError, NotFittedError, UsageError
from recurra.language.classification import TextClassifier


def test_it_learns_which_words_decide(fitted: TextClassifier) -> None:
    texts, labels = reviews(40, seed=1)
    assert fitted.score(texts, labels) >= 0.95
    assert fitted.classes_.tolist() == ["bad", "good"]
    p = fitted.predict_proba(texts)
    assert p.shape == (40, 2)
    np.testing.assert_allclose(p.sum(1), 1)
    assert (fitted.classes_[p.argmax(1)] == fitted.predict(texts)).all()
    assert fitted.held_out_ is not None
    assert len(fitted.held_out_.texts) == 12
    assert "12 of 120 texts were held out." in fitted.notes_


def test_a_text_s_answer_depends_on_no_other(fitted: TextClassifier) -> None:
    texts, _ = reviews(30, seed=2)
    together = fitted.predict_proba([*texts, "", "A VERY " * 400])
    np.testing.assert_allclose(
        together[:30], np.concatenate([fitted.predict_proba([t]) for t in texts]), rtol=1e-6
    )


def test_unseen_words_and_none_at_all(fitted: TextClassifier) -> None:
    p = fitted.predict_proba(["", " \n", "Zyzzyva 漢字 🙂 ﷽", "\x00\ud800", "great " * 5000])
    assert np.isfinite(p).all()
    np.testing.assert_allclose(p[:2], [[0.5, 0.5]] * 2)
    assert p[4, 1] > 0.9


def test_the_most_probable_labels(fitted: TextClassifier) -> None:
    best = fitted.top_k(["a great film", "so dull"], 5)
    assert [each[0][0] for each in best] == ["good", "bad"]
    assert [len(each) for each in best] == [2, 2]
    assert best[0][0][1] == pytest.approx(1 - best[0][1][1])
    with pytest.raises(UsageError, match="k must be a whole number"):
        fitted.top_k(["a"], 0)


def test_words_give_reasons(fitted: TextClassifier) -> None:
    text = "The film was superb, very."
    found = fitted.explain(text)
    assert found.label == "good"
    assert found.probability == pytest.approx(fitted.predict_proba([text])[0, 1])
    assert [text[each.start : each.stop] for each in found.words] == [each.word for each in found.words]
    assert found.strongest(1)[0].word == "superb"
    against = fitted.explain(text, "bad")
    np.testing.assert_allclose([w.weight for w in against.words], [-w.weight for w in found.words], atol=1e-6)
    assert json.loads(json.dumps(found.as_dict()))["words"][0]["word"] == "The"
    assert fitted.explain("").words == ()
    with pytest.raises(UsageError, match=r"no such label.*bad, good"):
        fitted.explain(text, "middling")


def test_the_same_seed_gives_the_same_model() -> None:
    texts, labels = reviews(30)
    one, two = (tiny(members=1).fit(texts, labels).predict_proba(texts) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    other = tiny(members=1, seed=1).fit(texts, labels).predict_proba(texts)
    assert (one != other).any()


def test_labels_may_be_numbers() -> None:
    texts, labels = reviews(30)
    stars = np.array([5 if label == "good" else 1 for label in labels], np.int16)
    model = tiny(members=1).fit(texts, stars)
    assert model.classes_.tolist() == [1, 5]
    assert model.predict(texts).dtype.kind == "i"
    assert model.score(texts, stars.astype(str)) == model.score(texts, stars.astype(float))


def test_scikit_learn_knows_it() -> None:
    model = tiny(members=1, held_out=0.0, class_weight={"good": 2.0})
    assert is_classifier(model)
    assert clone(model).get_params() == model.get_params()
    scores = cross_val_score(model, *reviews(60), cv=2)
    assert (scores > 0.7).all()


def test_weights_of_classes_move_the_border() -> None:
    texts, labels = reviews(80)
    labels = [label if number % 4 else "good" for number, label in enumerate(labels)]
    probability = [
        tiny(members=1, class_weight=weight, held_out=0)
        .fit(texts, labels)
        .predict_proba(["plot", "film was"])[:, 0]
        for weight in (None, {"bad": 20.0})
    ]
    assert (probability[1] > probability[0]).all()


def test_unbalanced_labels_are_told() -> None:
    texts, labels = reviews(60)
    chosen = [n for n, label in enumerate(labels) if label == "good" or n == 1]
    few = [texts[n] for n in chosen], [labels[n] for n in chosen]
    assert any("unbalanced" in note and "'bad' 1" in note for note in tiny().fit(*few).notes_)
    assert not any("unbalanced" in note for note in tiny(class_weight="balanced").fit(*few).notes_)


def test_what_is_saved_is_loaded(fitted: TextClassifier, tmp_path: Path) -> None:
    texts, labels = reviews(20, seed=3)
    fitted.save(tmp_path / "model")
    loaded = recurra.load(tmp_path / "model")
    assert isinstance(loaded, TextClassifier)
    np.testing.assert_array_equal(loaded.predict_proba(texts), fitted.predict_proba(texts))
    assert loaded.get_params() == fitted.get_params()
    assert (loaded.notes_, loaded.outcome_, loaded.figures_) == (
        fitted.notes_,
        fitted.outcome_,
        fitted.figures_,
    )
    card = (tmp_path / "model/README.md").read_text()
    assert "bad, good" in card
    assert "accuracy" in card
    loaded.save(tmp_path / "again")
    for path in (tmp_path / "model").iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()
    assert copy.deepcopy(loaded).score(texts, labels) == fitted.score(texts, labels)


def test_a_model_answers_without_torch(fitted: TextClassifier, tmp_path: Path) -> None:
    fitted.save(tmp_path / "model")
    program = (
        "import sys; sys.modules['torch'] = None; import recurra\n"
        "model = recurra.load('model'); print(model.predict(['great'])[0], model.explain('great plot').words[0].word)\n"
        "model.pack('int8'); model.save('model'); print(recurra.load('model').predict(['dull'])[0])\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path)
    assert ran.stderr == ""
    assert ran.stdout.split() == ["good", "great", "bad"]


def test_fewer_bits(fitted: TextClassifier, tmp_path: Path) -> None:
    texts, labels = reviews(40, seed=4)
    fitted.save(tmp_path / "model")
    model = TextClassifier.load(tmp_path / "model")
    assert model.pack("float32") == 0
    error = model.pack("int8")
    assert 0 < error < 0.1
    assert model.score(texts, labels) == fitted.score(texts, labels)
    with pytest.raises(UsageError, match="rounded once"):
        model.pack("float16")
    with pytest.raises(UsageError, match=r"differ by .* 1e-09 is allowed"):
        TextClassifier.load(tmp_path / "model").pack("float16", bound=1e-9)


DAMAGES: list[tuple[str, Any, str]] = [
    ("classes", ["bad"], "two labels"),
    ("classes", ["good", "bad"], "in order"),
    ("classes", ["a", "b", "c"], "finite|shares"),
    ("temperature", 0.0, "temperature"),
    ("prior", [0.5, 0.6], "sum to 1"),
    ("words", ["a", "a"], "twice"),
    ("words", ["a"], "words must be numbers"),
    ("pieces", {"grams": [], "shortest": 1, "longest": 99}, "pieces"),
    ("outcome", {"steps": 1}, "does not fit"),
    ("words", None, "does not fit|list of texts"),
]


@pytest.mark.parametrize(("name", "value", "match"), DAMAGES)
def test_damaged_folders_are_errors(
    fitted: TextClassifier, tmp_path: Path, name: str, value: Any, match: str
) -> None:
    fitted.save(tmp_path / "model")
    place = tmp_path / "model/config.json"
    config = json.loads(place.read_text())
    config["fitted"][name] = value
    place.write_text(json.dumps(config))
    with pytest.raises((ModelError, InputError, UsageError), match=match):
        TextClassifier.load(tmp_path / "model")


def test_missing_layers_are_errors(fitted: TextClassifier, tmp_path: Path) -> None:
    fitted.save(tmp_path / "model")
    (tmp_path / "model/1.0.back.packed").unlink()
    with pytest.raises(ModelError, match="must be numbers"):
        TextClassifier.load(tmp_path / "model")


def test_what_cannot_be_learned_from_is_refused() -> None:
    model = tiny()
    for texts, labels, match in (
        (["a", "b"], ["x", "x"], "same label"),
        (["a", "b"], ["x"], "need as many labels"),
        (["a"] * 30, range(30), "30 texts have 30 different labels.*Is this the column"),
        (["", "?"], ["x", "y"], "no text with this label"),
        (["", " "], ["x", "y"], "no text with a word"),
        ([], [], "no text with a word"),
        (["a", None], ["x", "y"], "row 2: this is no text"),
        (["a", 3.5], ["x", "y"], "row 2: this is no text.*float"),
        (["a", "b"], ["x", None], "row 2: this text has no label"),
        (["a", "b"], [0.5, 1.0], "whole number"),
        (["a", "b"], ["x", 1], "all texts, or all whole numbers"),
        ("a text", ["x"], "a list of texts"),
    ):
        with pytest.raises((InputError, UsageError), match=match):
            model.fit(texts, labels)
    with pytest.raises(NotFittedError):
        model.predict(["a"])


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"cell": "lstn"}, "no such cell"),
        ({"members": 0}, "members must be"),
        ({"dropout": 1.0}, "dropout must be"),
        ({"held_out": 0.9}, "held_out must be"),
        ({"class_weight": "heavy"}, "class_weight"),
        ({"class_weight": {"ugly": 2.0}}, "no text has.*ugly"),
        ({"class_weight": {"bad": -1.0}}, "above 0"),
    ],
)
def test_arguments_out_of_range(arguments: dict[str, Any], match: str) -> None:
    with pytest.raises(UsageError, match=match):
        tiny(**arguments).fit(*reviews(20))


def test_a_run_that_was_killed_goes_on(tmp_path: Path) -> None:
    texts, labels = reviews(40)
    whole = tiny(members=1).fit(texts, labels, checkpoint=tmp_path / "whole").predict_proba(texts)
    model = tiny(members=1)
    model.fit(texts, labels, checkpoint=tmp_path / "cut", max_seconds=0.05)
    assert model.outcome_.stopped == "time"
    again = tiny(members=1).fit(texts, labels, checkpoint=tmp_path / "cut")
    assert again.outcome_.stopped == "steps"
    np.testing.assert_array_equal(again.predict_proba(texts), whole)
    with pytest.raises(UsageError, match="other data"):
        tiny(members=1).fit(texts[:-1], labels[:-1], checkpoint=tmp_path / "cut")
