"""What a trace of the roles of a model with 70 billion parameters costs, all layers and widths on the meta device.

    python benchmarks/large_model.py [--runs 3]

Needs transformers. Each run is a process of its own with one thread; counted is its CPU time beyond the imports of
torch, transformers and the model's module, and its largest memory, of which the best run is compared with the
limits. Exit code 0 within 3 s and 600 MiB.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

SECONDS, MEBIBYTES = 3.0, 600
# The sizes of Llama 70B, and twice and four times its width.
SETTINGS = {
    "hidden_size": 8192,
    "intermediate_size": 28672,
    "num_hidden_layers": 80,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
}
WIDTHS = (8192.0, 16384.0, 32768.0)


def measured() -> dict[str, float]:
    """CPU seconds of one trace in this process, MiB, and how many parameters were classified."""
    import torch
    import transformers  # type: ignore[import-not-found]

    torch.set_num_threads(1)
    assert transformers.LlamaForCausalLM is not None  # imports its module
    from mulint.tracing import stages
    from mulint.tracing.request import Request

    request = Request(
        file="",
        module="transformers",
        name="LlamaConfig",
        root=str(Path.cwd()),
        settings=SETTINGS,
        widths=WIDTHS,
        stages=("roles",),
    )
    start = time.process_time()
    trace = stages.answer(request.to_json(), lambda *_: None)
    seconds = time.process_time() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "memory": memory, "parameters": len(trace["parameters"])}


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--once", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.once:
        print(json.dumps(measured()))
        return 0
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "TORCHDYNAMO_DISABLE": "1"}
    found = []
    for _ in range(given.runs):
        command = [sys.executable, __file__, "--once"]
        run = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        found.append(json.loads(run.stdout))
        print("{seconds:.2f} s, {memory:.0f} MiB, {parameters} parameters".format(**found[-1]), flush=True)
    seconds, memory = min(one["seconds"] for one in found), min(one["memory"] for one in found)
    print(f"best {seconds:.2f} s of {SECONDS:g}, {memory:.0f} MiB of {MEBIBYTES}")
    return 0 if seconds <= SECONDS and memory <= MEBIBYTES else 1


if __name__ == "__main__":
    sys.exit(main())
