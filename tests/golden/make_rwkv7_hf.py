"""Makes tests/golden/rwkv7_hf.safetensors with the package rwkv7-hf (MIT), its readable torch model, in float64.

In an environment of its own:
    pip install torch==2.13.0 && pip install numpy safetensors packaging 'transformers==4.57.6'
    pip install --no-deps rwkv7-hf==0.9.0
    python tests/golden/make_rwkv7_hf.py

The package takes the decay and the empty state in float32 whatever the weights are. Here `Tensor.float` widens to
float64 instead, and states are always given, so that every number is float64's. The README beside this file names
every tensor.
"""

from __future__ import annotations

import torch
from golden_file import draw, generator, redraw, write
from rwkv7_hf import RWKV7Cache, RWKV7Config, RWKV7Model
from torch import Tensor

B, T, SIZE, HEADS, LAYERS, VOCABULARY = 3, 7, 16, 2, 2, 11
LENGTHS = (T, 4, 1)
STATE = ("recurrent", "attention_shift", "ffn_shift")


def states(rng: torch.Generator, scale: float) -> list[dict[str, Tensor]]:
    shapes = ((B, HEADS, SIZE // HEADS, SIZE // HEADS), (B, SIZE), (B, SIZE))
    return [
        {name: draw(rng, *shape, scale=scale) for name, shape in zip(STATE, shapes, strict=True)}
        for _ in range(LAYERS)
    ]


def cache_of(layers: list[dict[str, Tensor]]) -> RWKV7Cache:
    cache = RWKV7Cache(num_layers=LAYERS)
    for number, layer in enumerate(layers):
        cache.set_layer(number, *(layer[name].clone() for name in STATE))
    return cache


def numbered(layers: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {f"layers.{i}.{name}": each for i, layer in enumerate(layers) for name, each in layer.items()}


def run(
    model: RWKV7Model, x: Tensor, before: list[dict[str, Tensor]], mask: Tensor | None
) -> dict[str, Tensor]:
    """What the whole model gives, from its layers' states: output, what leaves each layer, the states after."""
    cache = cache_of(before)
    result = model(inputs_embeds=x, attention_mask=mask, past_key_values=cache, output_hidden_states=True)
    after = [dict(zip(STATE, layer, strict=True)) for layer in cache]
    return {"output": result.last_hidden_state, "between": result.hidden_states[1]} | {
        f"last.{name}": each for name, each in numbered(after).items()
    }


def time_mix(
    model: RWKV7Model, number: int, x: Tensor, before: dict[str, Tensor], v_first: Tensor
) -> dict[str, Tensor]:
    """One layer's time mix alone."""
    every = torch.ones(B, T, dtype=torch.bool)
    y, recurrent, shift, v_first = model.layers[number].attn(
        x, before["recurrent"], before["attention_shift"], v_first, every
    )
    return {"output": y, "last.recurrent": recurrent, "last.attention_shift": shift, "v_first": v_first}


def main() -> None:
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    torch.Tensor.float = torch.Tensor.double
    rng = generator()
    config = RWKV7Config(
        vocab_size=VOCABULARY,
        hidden_size=SIZE,
        num_hidden_layers=LAYERS,
        num_heads=HEADS,
        intermediate_size=24,
        decay_low_rank_dim=3,
        gate_low_rank_dim=5,
        a_low_rank_dim=4,
        v_low_rank_dim=2,
    )
    model = RWKV7Model(config).double().eval()
    redraw(model, rng, scale=0.4)
    x = draw(rng, B, T, SIZE)
    zeros, initial = states(rng, 0.0), states(rng, 0.5)
    mask = torch.arange(T) < torch.tensor(LENGTHS).unsqueeze(1)
    tensors = {f"weights.{name}": each for name, each in model.state_dict().items()}
    tensors |= {"input": x, "lengths": torch.tensor(LENGTHS)}
    tensors |= {f"initial.{name}": each for name, each in numbered(initial).items()}
    parts = {
        "from_zeros": run(model, x, zeros, None),
        "from_initial": run(model, x, initial, None),
        "ragged": run(model, x, initial, mask),
    }
    mixed = time_mix(model, 0, x, initial[0], torch.zeros_like(x))
    parts["time_mix.0"] = mixed
    parts["time_mix.1"] = time_mix(model, 1, x, initial[1], mixed["v_first"])
    for part, each in parts.items():
        tensors |= {f"{part}.{name}": tensor for name, tensor in each.items()}
    if any(each.dtype == torch.float32 for each in tensors.values()):
        raise SystemExit("something was computed in float32")
    write("rwkv7_hf", "rwkv7-hf", "MIT", tensors, heads=HEADS, norm_eps=config.norm_eps)


if __name__ == "__main__":
    with torch.no_grad():
        main()
