"""How many models of Hugging Face and of timm a trace builds and reads from their names alone.

    python benchmarks/hugging_face.py [--library transformers|timm] [NAME ...]

Needs transformers, or timm, in the environment. Prints a table: the knobs that were found, on which device the
forward pass was traced, and the matrices that did not grow with the width beside the readouts. Exit code 0 if at
most three models could not be built, five not be traced, and three left layers behind.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

TRANSFORMERS = """
llama mistral qwen2 qwen3 gemma gemma2 gemma3_text phi phi3 gpt2 gpt_neo gpt_neox gptj opt bloom falcon mpt
stablelm olmo olmo2 starcoder2 mixtral qwen2_moe mamba mamba2 codegen cohere granite nemotron smollm3
deepseek_v3 xglm rwkv bert roberta distilbert albert electra deberta-v2 modernbert mpnet camembert
t5 bart mbart pegasus marian whisper vit deit swin convnext resnet dinov2 beit clip wav2vec2 hubert
""".split()
TIMM = """
vit_tiny_patch16_224 vit_base_patch16_224 vit_base_patch16_clip_224 deit_tiny_patch16_224 deit3_small_patch16_224
beit_base_patch16_224 eva02_tiny_patch14_224 cait_xxs24_224 xcit_nano_12_p16_224 mixer_s16_224 gmlp_s16_224
swin_tiny_patch4_window7_224 swinv2_tiny_window8_256 pvt_v2_b0 twins_svt_small maxvit_tiny_rw_224
coatnet_nano_rw_224 convnext_tiny convnextv2_atto resnet18 resnet50 resnetv2_50 regnety_008 densenet121
efficientnet_b0 mobilenetv3_large_100 vgg11 poolformer_s12 edgenext_xx_small focalnet_tiny_srf
""".split()
# Layers that end in something of a fixed size by design: readouts, routers, gates with one output, mixing over
# positions, stems and hidden layers whose size is written into the library's code.
FIXED = re.compile(
    r".*(head|lm_head|decoder|classifier|score|fc|embed_out|output_projection|logits|cls_logits|gate|router"
    r"|shared_expert_gate|mlp_tokens\.fc2|gate\.proj|cpb_mlp\.\d"
    r"|pre_logits\.fc\d|relative_attention_bias|relative_position_bias|projection|vocab_projector|predictions\.decoder)(\.fc|\.l\d?|\.flatten)?"
    r"\.(weight|bias)|classifier\.\d\.weight|.*relative_position_bias_table|conv1\.weight"
)


@dataclass(frozen=True)
class Outcome:
    """One row of the table. ``device`` is where the forward pass was traced; empty if there is no trace."""

    name: str
    seconds: float
    device: str = ""
    knobs: str = ""
    parameters: int = 0
    left: tuple[str, ...] = ()
    reason: str = ""


def traced(library: str, name: str, environment: dict[str, str], arguments: tuple[str, ...] = ()) -> Outcome:
    """Trace one model's roles by its name."""
    command = [sys.executable, "-m", "mulint", "trace", f"{library}:{name}", "--stages", "roles"]
    start = time.monotonic()
    result = subprocess.run(
        [*command, "--output-format", "json", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    seconds = time.monotonic() - start
    if not result.stdout:
        return Outcome(name, seconds, reason=result.stderr.strip())
    trace = json.loads(result.stdout)
    said = trace["assumptions"]
    return Outcome(
        name,
        seconds,
        device="cpu" if any("ran on CPU" in text for text in said) else "meta",
        knobs=next((text for text in said if text.startswith("the width is ")), "").removeprefix("the width is "),
        parameters=len(trace["parameters"]),
        left=tuple(f"{p['name']} {p['role']} {p['shapes'][0]}" for p in trace["parameters"] if is_left(p)),
        reason=next((text for text in said if "ran on CPU" in text), ""),
    )


def is_left(parameter: dict[str, object]) -> bool:
    """A matrix that takes in a width and produces none, or has none at all, and is no readout; or one misread.

    What grows along two dimensions is neither a table nor a scale.
    """
    name, shapes, dims = str(parameter["name"]), parameter["shapes"], parameter["dims"]
    assert isinstance(shapes, list)
    assert isinstance(dims, list)
    wide = sum(size > 1 for size in shapes[0]) > 1
    misread = sum(bool(power) for power in dims) > 1 and parameter["role"] in ("input", "vector")
    return misread or (wide and parameter["role"] in ("output", "scalar") and not FIXED.fullmatch(name))


def main() -> int:
    """Trace every model and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library", choices=["transformers", "timm"], default="transformers")
    parser.add_argument("names", nargs="*")
    given = parser.parse_args()
    names = given.names or {"transformers": TRANSFORMERS, "timm": TIMM}[given.library]
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(2) as pool:
        environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
        if given.library == "timm":
            environment["PYTHONPATH"] = os.pathsep.join(
                filter(None, [environment.get("PYTHONPATH"), stub(folder)])
            )
        else:
            from transformers import CONFIG_MAPPING  # type: ignore[import-not-found]

            names = [CONFIG_MAPPING[name].__name__ for name in names]
        rows = list(pool.map(lambda name: shown(traced(given.library, name, environment)), names))
    lost = sum(not row.device for row in rows)
    left = sum(bool(row.left) for row in rows)
    print(f"{len(rows) - lost} of {len(rows)} built and traced, {left} of them with layers left behind")
    return 0 if lost <= 5 and lost + left <= 5 else 1


def shown(row: Outcome) -> Outcome:
    """Print one row as soon as it is there."""
    print(
        f"{row.name:32} {row.seconds:5.1f} s  {row.device or '-':4}  {row.parameters:4}  {row.knobs}", flush=True
    )
    for line in (*row.left[:4], *([row.reason] if row.reason else [])):
        print(f"    {line}", flush=True)
    return row


STUB = """
import importlib.abc, importlib.machinery, sys, types

def anything(self, name):
    if name.startswith("__"):
        raise AttributeError(name)
    return Kind(name, (), {})

class Kind(type):
    __getattr__ = anything

class Anything(types.ModuleType):
    __path__ = []
    __getattr__ = anything

class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path=None, target=None):
        known = name.startswith(("torchvision.", "PIL."))
        return importlib.machinery.ModuleSpec(name, self, is_package=True) if known else None
    def create_module(self, spec):
        return Anything(spec.name)
    def exec_module(self, module):
        pass

sys.meta_path.append(Finder())
__getattr__ = Anything(__name__).__getattr__
__path__, __version__ = [], "99.0"
"""


def stub(folder: str) -> str:
    """An empty torchvision and PIL for timm, which imports them for its transforms of pictures only."""
    for name in ("torchvision", "PIL"):
        if importlib.util.find_spec(name) is None:
            (Path(folder) / f"{name}.py").write_text(STUB, encoding="utf-8")
    return folder


if __name__ == "__main__":
    sys.exit(main())
