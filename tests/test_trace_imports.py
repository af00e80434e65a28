"""What the process of the command line loads."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "module", ["mulint", "mulint.traces", "mulint.cli.trace", "mulint.cli.transfer", "mulint.tracing.process"]
)
def test_no_torch_in_the_process_of_the_command_line(module: str) -> None:
    code = f"import sys, {module}, mulint; mulint.Case; print('torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"
