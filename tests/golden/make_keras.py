"""Makes tests/golden/keras.safetensors with Keras 3 (Apache-2.0) on its torch backend, in float32.

In an environment of its own:
    pip install torch==2.13.0 && pip install numpy safetensors keras==3.15.1
    python tests/golden/make_keras.py

The README beside this file names every tensor. Not in float64, because the backend multiplies float64 matrices in
float32 too.
"""

from __future__ import annotations

import os

os.environ["KERAS_BACKEND"] = "torch"

import keras
import torch
from golden_file import draw, generator, redraw, write
from keras.layers import GRU, LSTM, SimpleRNN
from torch import Tensor

B, T, I, H = 3, 6, 4, 5  # noqa: E741 - the legend of the whole project
LENGTHS = (T, 4, 1)
LAYERS = {
    "simple_rnn": (SimpleRNN, {}),
    "simple_rnn_relu": (SimpleRNN, {"activation": "relu"}),
    "gru_reset_after": (GRU, {"reset_after": True}),
    "gru_reset_before": (GRU, {"reset_after": False}),
    "lstm": (LSTM, {"unit_forget_bias": True}),
}


def layer_numbers(
    kind: type[keras.Layer], options: dict[str, object], x: Tensor, mask: Tensor, rng: torch.Generator
) -> dict[str, Tensor]:
    """A layer from zeros, from given states, with a mask, and backwards with a mask."""
    layers = [
        kind(H, return_sequences=True, return_state=True, go_backwards=back, **options)
        for back in (False, True)
    ]
    for layer in layers:
        layer.build(x.shape)
    redraw(layers[0], rng)
    layers[1].set_weights(layers[0].get_weights())
    initial = [draw(rng, B, H) for _ in range(2 if kind is LSTM else 1)]
    found = {
        "from_zeros": layers[0](x),
        "from_initial": layers[0](x, initial_state=initial),
        "masked": layers[0](x, initial_state=initial, mask=mask),
        "backwards": layers[1](x, initial_state=initial),
        "masked_backwards": layers[1](x, initial_state=initial, mask=mask),
    }
    tensors = {weight.name: weight.value for weight in layers[0].weights}
    tensors |= {f"initial.{name}": each for name, each in zip("hc", initial, strict=False)}
    for part, (y, *last) in found.items():
        tensors[f"{part}.output"] = y
        tensors |= {f"{part}.last.{name}": each for name, each in zip("hc", last, strict=False)}
    return tensors


def main() -> None:
    torch.set_num_threads(1)
    rng = generator()
    x = draw(rng, B, T, I)
    mask = torch.arange(T) < torch.tensor(LENGTHS).unsqueeze(1)
    tensors = {"input": x, "lengths": torch.tensor(LENGTHS)}
    for name, (kind, options) in LAYERS.items():
        tensors |= {
            f"{name}.{part}": each for part, each in layer_numbers(kind, options, x, mask, rng).items()
        }
    write(
        "keras",
        "keras",
        "Apache-2.0",
        tensors,
        backend="torch",
        gates={"gru": "z, r, h", "lstm": "i, f, c, o"},
    )


if __name__ == "__main__":
    with torch.no_grad():
        main()
