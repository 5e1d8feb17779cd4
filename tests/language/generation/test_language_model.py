from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import recurra
from recurra import LanguageModel
from recurra.errors import InputError, ModelError, NotFittedError, UsageError


def test_it_writes_what_it_learnt(model: LanguageModel) -> None:
    text = model.generate("The old ship went", temperature=0, max_tokens=12)
    assert text.startswith(" out to sea.")
    assert model.quality_ is not None
    assert model.quality_["bits_per_byte"] < 2


def test_a_seed_gives_the_same_text_alone_and_beside_others(model: LanguageModel) -> None:
    alone = model.generate("The", seed=5, max_tokens=30, temperature=3.0)
    assert alone == "".join(model.stream("The", seed=5, max_tokens=30, temperature=3.0))
    several = model.generate("The", n=4, seed=5, max_tokens=30, temperature=3.0)
    assert several[0] == alone
    assert len(set(several)) > 1
    assert model.generate("The", n=2, seed=5, max_tokens=30, temperature=3.0) == several[:2]


def test_it_ends_before_a_stop_string(model: LanguageModel) -> None:
    text = model.generate("The old ship", stop=["sea"], temperature=0, max_tokens=40)
    assert text == " went out to "


def test_a_kind_is_a_condition(model: LanguageModel) -> None:
    assert model.kinds_ == ("post", "tale")
    assert model.generate(kind="tale", temperature=0, max_tokens=6).startswith("The old")
    assert model.generate(kind="post", temperature=0, max_tokens=6).startswith("Buy our")
    assert model.score("Buy our lamps", kind="post").total < model.score("Buy our lamps", kind="tale").total
    with pytest.raises(UsageError, match=r"It knows post, tale\."):
        model.generate(kind="poem")


def test_a_score_is_the_networks(model: LanguageModel) -> None:
    text = "The sea was dark — and cold. Naïve lamps!"
    found = model.score(text)
    tokens = torch.tensor([[*model.start(), *model.tokenizer_.encode(text).tolist()]])
    with torch.no_grad():
        before = model.network_.initial_state(1)
        _, before = model.network_(tokens[:, :1], before)
        expected, _ = model.network_.loss(tokens[:, 1:-1], tokens[:, 2:], before)
    assert found.total / len(found.nats) == pytest.approx(expected.item(), rel=1e-4)
    assert found.bytes == len(text.encode())
    assert found.bits_per_byte == pytest.approx(found.nats.sum() / np.log(2) / found.bytes)
    assert model.score("").total == 0


def test_a_long_text_is_scored_as_in_one_go(model: LanguageModel) -> None:
    text = "The sea was dark and cold. " * 60
    parts = model.score(text)
    with model.engine_.session() as session:
        session.read(np.array(model.start()))
        one = [session.scores]
        for token in model.tokenizer_.encode(text)[:-1]:
            one.append(session.read(np.array([token])))
    logs = np.array(one, np.float64)
    logs = logs - np.log(np.exp(logs).sum(-1, keepdims=True))
    expected = -logs[np.arange(len(logs)), model.tokenizer_.encode(text)]
    np.testing.assert_allclose(parts.nats, expected, atol=1e-4)


def test_a_prompt_may_be_longer_than_anything_seen(model: LanguageModel) -> None:
    prompt = "The old ship went out to sea. " * 2000
    assert model.generate(prompt + "The old ship", max_tokens=12, temperature=0).startswith(" went out")
    assert model.suggest(prompt + "The old", "sh")[0][0] == "ship"


def test_a_saved_model_says_the_same(model: LanguageModel, tmp_path: Path) -> None:
    model.save(tmp_path / "m")
    loaded = recurra.load(tmp_path / "m")
    assert isinstance(loaded, LanguageModel)
    assert loaded.generate("The", seed=1, max_tokens=30) == model.generate("The", seed=1, max_tokens=30)
    assert loaded.quality_ == model.quality_
    assert loaded.kinds_ == model.kinds_
    assert repr(loaded) == repr(model)


def test_a_folder_may_hold_only_the_packed_network(model: LanguageModel, tmp_path: Path) -> None:
    model.save(tmp_path / "whole")
    small = LanguageModel.load(tmp_path / "whole")
    assert small.pack("int8", only=True) < 0.1
    small.save(tmp_path / "small")
    size, whole = (sum(f.stat().st_size for f in (tmp_path / n).iterdir()) for n in ("small", "whole"))
    assert size < whole / 3
    loaded = LanguageModel.load(tmp_path / "small")
    assert loaded.generate("The", seed=1) == small.generate("The", seed=1)
    with pytest.raises(UsageError, match="holds only a packed network"):
        loaded.pack("float32")


def test_a_folder_of_parts_that_do_not_fit_is_refused(model: LanguageModel, tmp_path: Path) -> None:
    model.save(tmp_path / "m")
    (tmp_path / "m" / "network.packed").unlink()
    with pytest.raises(ModelError, match="one packed network"):
        LanguageModel.load(tmp_path / "m")
    model.save(tmp_path / "n")
    (tmp_path / "n" / "tokenizer.json").write_text(
        LanguageModel(tokenizer="bytes", steps=1, size="tiny").fit(["a" * 100]).tokenizer_.to_json()
    )
    with pytest.raises(ModelError, match="do not fit together"):
        LanguageModel.load(tmp_path / "n")


@pytest.mark.parametrize(
    "spoilt",
    [
        {"kinds": ["tale", "poem"]},
        {"kinds": "tale"},
        {"quality": {"nats_per_token": 1}},
        {"quality": 3},
        {"parameters": "many"},
        {"outcome": {"steps": 1}},
        {"copy_run": 4},
        {"copy_run": "31"},
    ],
    ids=str,
)
def test_a_spoilt_folder_is_refused(model: LanguageModel, tmp_path: Path, spoilt: dict[str, object]) -> None:
    model.save(tmp_path / "m")
    config = json.loads((tmp_path / "m" / "config.json").read_text())
    config["fitted"] |= spoilt
    (tmp_path / "m" / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError):
        LanguageModel.load(tmp_path / "m")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"cell": "lsmt"}, "no such cell"),
        ({"size": "huge"}, "no such size"),
        ({"tokenizer": "letters"}, "no such tokenizer"),
        ({"layers": 0}, "layers must be a whole number"),
        ({"dropout": 1.0}, "dropout must be a number"),
        ({"cutoffs": [10]}, "tied=False"),
        ({"sampled": -1}, "sampled must be a whole number"),
        ({"sampled": 9, "cutoffs": [10], "tied": False}, "not both"),
        ({"weight_drop": 0.5, "cell": "mingru"}, "no layer has a parameter"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(arguments: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        LanguageModel(size=arguments.pop("size", "tiny"), **arguments).fit(["some text " * 50])  # type: ignore[arg-type]


def test_too_little_text_and_one_string_are_refused() -> None:
    with pytest.raises(InputError, match="too little text"):
        LanguageModel(size="tiny").fit(["short"])
    with pytest.raises(InputError, match="too little text"):
        LanguageModel(size="tiny").fit(["a", "b"])
    with pytest.raises(InputError, match="there is no text"):
        LanguageModel(size="tiny").fit([])
    with pytest.raises(UsageError, match="one string"):
        LanguageModel(size="tiny").fit("a text")
    with pytest.raises(NotFittedError):
        LanguageModel().generate("a")


@pytest.mark.parametrize("cell", ["elman", "mingru", "lru", "gateddeltanet", "griffin"])
def test_any_cell_and_block_writes(cell: str) -> None:
    learner = LanguageModel(
        cell, "tiny", tokenizer="bytes", hidden_size=32, embedding_size=32, steps=2, layers=2
    )
    fitted = learner.fit(["any cell will do. " * 20])
    assert len(fitted.generate("a", max_tokens=5, n=2)) == 2


def test_an_adaptive_softmax_writes() -> None:
    learner = LanguageModel("lstm", "tiny", tokenizer="bytes", cutoffs=[64, 128], tied=False, steps=2)
    fitted = learner.fit(["rare tokens are cheap. " * 20])
    assert fitted.score("rare").total > 0


def test_a_sampled_softmax_is_trained_and_the_whole_one_writes() -> None:
    learner = LanguageModel(
        "lstm", "tiny", tokenizer="words", vocabulary=400, sampled=60, steps=60, learning_rate=0.01
    )
    fitted = learner.fit(["rare tokens are cheap, and each text is as good as any. " * 30])
    assert fitted.quality_["nats_per_token"] < 4  # of 269 tokens, the logarithm is 5.6
    assert fitted.score("each text").total > 0


def test_a_training_goes_on_where_it_was(tmp_path: Path) -> None:
    texts = [f"The sea was calm on day {number}. " * 8 for number in range(30)]

    def learner() -> LanguageModel:
        return LanguageModel(
            "gru", "tiny", tokenizer="bytes", steps=8, batch_size=2, window=16, hidden_size=16
        )

    whole = learner().fit(texts)
    learner().fit(texts, checkpoint=tmp_path / "c", max_seconds=1e-6)  # ends after a step
    resumed = learner().fit(texts, checkpoint=tmp_path / "c")
    assert resumed.outcome_.steps == 8
    assert all(np.array_equal(resumed.weights_[name], each) for name, each in whole.weights_.items())
    again = learner().fit(texts, checkpoint=tmp_path / "c")
    assert again.generate("The", seed=1) == resumed.generate("The", seed=1)
    with pytest.raises(UsageError, match="other data"):
        learner().fit(texts[:-1], checkpoint=tmp_path / "c")


def test_texts_to_validate_on_may_be_given() -> None:
    learner = LanguageModel("gru", "tiny", tokenizer="bytes", steps=2, hidden_size=16)
    learner.fit(["The sea was calm. " * 20], validation=["A lamp for you. " * 20])
    assert learner.quality_ is not None
    assert learner.quality_["tokens"] == len("A lamp for you. " * 20)
    none = LanguageModel("gru", "tiny", tokenizer="bytes", steps=2, hidden_size=16, held_out=0)
    assert none.fit(["The sea was calm. " * 20]).quality_ is None
