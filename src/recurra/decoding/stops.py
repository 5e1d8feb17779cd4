"""Text that comes in pieces: stop strings of which nothing ever shows, and characters whose bytes come apart."""

from __future__ import annotations

import codecs
from collections.abc import Sequence

from recurra.errors import UsageError

__all__ = ["StopStrings", "Utf8"]


class StopStrings:
    """Gives out pieces of a text as they come, up to the first occurrence of any stop string.

    What may be the beginning of a stop string is held back until it is clear. However the text is split, what is given
    out is what stands before the first place at which a stop string begins; all of the text where there is none.

    Raises UsageError for a stop string that is empty or no string.

    >>> text = StopStrings(["END"])
    >>> text.push("one E"), text.push("N two EN"), text.push("D three"), text.stopped
    ('one ', 'EN two ', '', True)
    """

    def __init__(self, stops: Sequence[str]) -> None:
        if isinstance(stops, str):
            raise UsageError(
                "stop strings must be a list of strings", value=stops, hint=f"Write [{stops!r}]."
            )
        for stop in stops:
            if not isinstance(stop, str) or not stop:
                raise UsageError("every stop string must have one character or more", value=repr(stop))
        self._stops = tuple(stops)
        self._longest = max(map(len, self._stops), default=0)
        self._held = ""
        self.stopped = False

    def push(self, text: str) -> str:
        """The next piece; gives what can be shown now, nothing once the text has `stopped`."""
        if self.stopped:
            return ""
        self._held += text
        found = self._found()
        begun = self._begun()
        self.stopped = found < begun
        return self._release(min(found, begun))

    def flush(self) -> str:
        """The text has ended: gives what was held back, up to a stop string."""
        found = self._found()
        self.stopped = self.stopped or found < len(self._held)
        return self._release(found)

    def _release(self, length: int) -> str:
        given, self._held = self._held[:length], "" if self.stopped else self._held[length:]
        return given

    def _found(self) -> int:
        """Where the first stop string begins, else the length of what is held."""
        places = [place for stop in self._stops if (place := self._held.find(stop)) >= 0]
        return min(places, default=len(self._held))

    def _begun(self) -> int:
        """From where on what is held may be the beginning of a stop string, else its length."""
        first = max(0, len(self._held) - self._longest + 1)
        ends = (place for place in range(first, len(self._held)) if self._starts_one(self._held[place:]))
        return next(ends, len(self._held))

    def _starts_one(self, end: str) -> bool:
        return any(len(end) < len(stop) and stop.startswith(end) for stop in self._stops)


class Utf8:
    r"""Text from UTF-8 in pieces that may end inside a character; what is no UTF-8 becomes U+FFFD.

    >>> text = Utf8()
    >>> text.push(b"na\xc3"), text.push(b"\xafve"), text.flush()
    ('na', 'ïve', '')
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def push(self, data: bytes) -> str:
        """The characters that are whole now."""
        return self._decoder.decode(data)

    def flush(self) -> str:
        """The text has ended: U+FFFD for a character that was cut off."""
        return self._decoder.decode(b"", final=True)
