"""Checks of arguments that several searches take."""

from __future__ import annotations

from numbers import Integral

from recurra.errors import UsageError

__all__ = ["check_whole"]


def check_whole(name: str, value: object, least: int) -> None:
    """Raise UsageError unless `value` is a whole number, `least` or more, that fits into 63 bits."""
    if isinstance(value, bool) or not isinstance(value, Integral) or not least <= int(value) < 2**63:
        raise UsageError(f"{name} must be a whole number, {least} or more", value=value)
