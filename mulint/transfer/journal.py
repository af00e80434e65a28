"""The finished runs of sweeps, one line of JSON each, so that an interrupted sweep goes on where it was."""

from __future__ import annotations

import json
import os
import threading
from dataclasses import dataclass, field
from pathlib import Path

from mulint.transfer.request import Key


@dataclass(frozen=True, slots=True)
class Journal:
    """A file of finished runs; those of another ``origin`` (other code, other settings) are not looked at.

    Every line is written by one call and forced to the disk, so that at most the last one can be cut off by
    a power cut; such a line is passed over.
    """

    path: Path
    origin: str
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def known(self) -> dict[Key, float | None]:
        """The losses of the runs that are finished; None for those that diverged.

        Raises:
            OSError: the file cannot be read.
        """
        if not self.path.exists():
            return {}
        found: dict[Key, float | None] = {}
        for line in self.path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                entry = json.loads(line)
                if entry["origin"] == self.origin:
                    found[(float(entry["width"]), float(entry["octave"]), int(entry["seed"]))] = entry["loss"]
            except (ValueError, KeyError, TypeError):
                continue
        return found

    def add(self, key: Key, loss: float | None) -> None:
        """Write down a finished run.

        Raises:
            OSError: the file cannot be written.
        """
        width, octave, seed = key
        entry = {"origin": self.origin, "width": width, "octave": octave, "seed": seed, "loss": loss}
        with self._lock, self.path.open("ab+", buffering=0) as file:
            # Behind a line that was cut off, a new one begins.
            size = file.seek(0, os.SEEK_END)
            whole = size == 0 or os.pread(file.fileno(), 1, size - 1) == b"\n"
            file.write((b"" if whole else b"\n") + json.dumps(entry).encode() + b"\n")
            os.fsync(file.fileno())
