"""The extension, built from native/; absent where there was no compiler."""

from torch import Tensor

def linear_scan(a: Tensor, b: Tensor, h0: Tensor, out: Tensor, reverse: bool) -> None: ...
