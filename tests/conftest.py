"""What all tests share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mulint.tracing import process
from mulint.tracing.request import Limits
from mulint.verification import certifying
from tests import forking

# These are about processes themselves.
REAL = ("test_trace_process", "test_transfer", "test_trace_sharded")


@pytest.fixture(autouse=True)
def forked_workers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Traces and certificates that a test asks for itself are made by forks as well."""

    def call(
        task: str, request: str, limits: Limits, _progress: object = None, folder: Path | None = None
    ) -> dict[str, Any]:
        return forking.call(task, request, limits, folder)

    if forking.AVAILABLE and request.path.stem not in REAL:
        monkeypatch.setattr(process, "call", call)
        monkeypatch.setattr(certifying, "call", call)
