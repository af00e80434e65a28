"""Small training repositories in several styles: how sizes reach the layers, and how scripts set them."""

from __future__ import annotations

THREADED = {
    "net.py": """\
import math

import torch
from torch import nn


class Heads(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.scale = math.sqrt(width // heads)
        self.mix = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x):
        b, t, c = x.shape
        q, k, v = (y.view(b, t, self.heads, c // self.heads).transpose(1, 2) for y in self.mix(x).split(c, dim=2))
        weights = torch.softmax(torch.matmul(q, k.transpose(-2, -1)) / self.scale, dim=-1)
        return self.out((weights @ v).transpose(1, 2).reshape(b, t, c))


class Stage(nn.Module):
    def __init__(self, width, heads, factor=4):
        super().__init__()
        self.width = width
        self.norm = nn.LayerNorm(width)
        self.heads = Heads(self.width, heads)
        self.mlp = nn.Sequential(nn.Linear(width, factor * width), nn.GELU(), nn.Linear(factor * width, width))
        for layer in (self.mlp[0], self.mlp[2]):
            nn.init.normal_(layer.weight, std=0.05)

    def forward(self, x):
        x = x + self.heads(self.norm(x))
        return x + self.mlp(x)


class Net(nn.Module):
    def __init__(self, vocabulary, width, heads, depth=2):
        super().__init__()
        self.table = nn.Embedding(vocabulary, width)
        self.stages = nn.Sequential(*[Stage(width, heads) for _ in range(depth)])
        self.head = nn.Linear(width, vocabulary)

    def forward(self, tokens):
        return self.head(self.stages(self.table(tokens)))
""",
    "train.py": """\
import torch
from torch.nn import functional as F

from net import Net

WIDTH = 32
HEADS = 4


def main():
    torch.manual_seed(0)
    net = Net(17, WIDTH, HEADS)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)
    tokens = torch.randint(17, (4, 9))
    for _ in range(5):
        logits = net(tokens[:, :-1])
        loss = F.cross_entropy(logits.reshape(-1, 17), tokens[:, 1:].reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(repr(loss.item()))


main()
""",
}

FACTORY = {
    "pack/__init__.py": "",
    "pack/settings.py": '''\
class Settings:
    """Fields set one by one."""

    def update(self, values):
        self.__dict__.update(values)
''',
    "pack/net.py": """\
import torch
from torch import nn

from .settings import Settings


class Net(nn.Module):
    @staticmethod
    def defaults():
        s = Settings()
        s.preset = None
        s.width = None
        s.depth = None
        s.classes = 7
        return s

    def __init__(self, s):
        super().__init__()
        named = s.preset is not None
        sized = s.width is not None and s.depth is not None
        assert named ^ sized
        if named:
            s.update({"small": dict(width=24, depth=1), "large": dict(width=96, depth=3)}[s.preset])
        self.enter = nn.Linear(5, s.width)
        self.body = nn.ModuleList([nn.Linear(s.width, s.width) for _ in range(s.depth)])
        self.leave = nn.Linear(s.width, s.classes, bias=False)
        self.apply(self._draw)

    def _draw(self, module):
        if isinstance(module, nn.Linear):
            module.weight.data.normal_(mean=0.0, std=0.1)

    def forward(self, x):
        x = torch.tanh(self.enter(x))
        for layer in self.body:
            x = torch.tanh(layer(x))
        return self.leave(x)
""",
    "pack/train.py": """\
import torch

from .net import Net

s = Net.defaults()
s.width = 24
s.depth = 2
torch.manual_seed(3)
net = Net(s)
groups = [
    {"params": [p for p in net.parameters() if p.dim() > 1], "weight_decay": 0.1},
    {"params": [p for p in net.parameters() if p.dim() < 2], "weight_decay": 0.0},
]
rate = 0.05
optimizer = torch.optim.SGD(groups, lr=rate, momentum=0.9)
x, y = torch.randn(16, 5), torch.randint(7, (16,))
for step in range(5):
    for group in optimizer.param_groups:
        group["lr"] = rate * (1 - step / 10)
    loss = torch.nn.functional.cross_entropy(net(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(repr(loss.item()))
""",
}

CONFIG_CLASS = {
    "net.py": """\
import torch
import torch.nn as nn
import torch.nn.functional as F


class NetConfig:
    def __init__(self, tokens=19, hidden_size=32, heads=2, layers=2, **others):
        self.tokens = tokens
        self.hidden_size = hidden_size
        self.heads = heads
        self.layers = layers
        self.others = others


class Block(nn.Module):
    def __init__(self, config: NetConfig):
        super().__init__()
        # one projection for queries, keys and values
        self.inward = nn.Linear(config.hidden_size, config.hidden_size * 3, bias=False)
        self.outward = nn.Linear(config.hidden_size, config.hidden_size, bias=False)
        self.heads = config.heads

    def forward(self, x):
        b, t, c = x.shape
        q, k, v = [y.view(b, t, self.heads, -1).transpose(1, 2) for y in self.inward(x).chunk(3, dim=-1)]
        return x + self.outward(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, t, c))


class Net(nn.Module):
    def __init__(self, config: NetConfig):
        super().__init__()
        self.config = config
        self.embed = nn.Embedding(config.tokens, config.hidden_size)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.head = nn.Linear(config.hidden_size, config.tokens, bias=False)

    def forward(self, tokens):
        x = self.embed(tokens)
        for block in self.blocks:
            x = block(x)
        return self.head(x)
""",
    "train.py": """\
import argparse

import torch
import torch.nn.functional as F
import torch.optim as optim
from net import Net, NetConfig

parser = argparse.ArgumentParser()
parser.add_argument('--hidden_size', type=int, default=32, help='width')
parser.add_argument('--lr', type=float, default=1e-2)


def main(args):
    torch.manual_seed(1)
    config = NetConfig(hidden_size=args.hidden_size)
    model = Net(config)
    optimizer = optim.Adam(
        model.parameters(),
        lr=args.lr,
    )
    tokens = torch.randint(19, (3, 8))
    for _ in range(4):
        loss = F.cross_entropy(model(tokens[:, :-1]).transpose(1, 2), tokens[:, 1:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(repr(loss.item()))


if __name__ == '__main__':
    main(parser.parse_args())
""",
}

_CYCLE = {
    "net.py": CONFIG_CLASS["net.py"],
    "train.py": CONFIG_CLASS["train.py"]
    .replace(
        "    tokens = torch.randint(19, (3, 8))\n",
        "    tokens = torch.randint(19, (3, 8))\n"
        "    schedule = optim.lr_scheduler.OneCycleLR(optimizer, args.lr * 2, total_steps=9)\n"
        "    plateau = optim.lr_scheduler.ReduceLROnPlateau(optimizer, min_lr=1e-5)\n",
    )
    .replace("        optimizer.step()\n", "        optimizer.step()\n        schedule.step()\n"),
}

CONVOLUTIONS = {
    "net.py": """\
import torch
import torch.nn.functional as F
from torch import nn


class Masks(nn.Module):
    def __init__(self, channels, width, classes):
        super().__init__()
        self.first = nn.Conv2d(channels, width, 3, padding=1)
        self.spread = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.mix = nn.Conv2d(width, 2 * width, 1)
        self.norm = nn.BatchNorm2d(2 * width)
        self.coarse = nn.Conv2d(2 * width, classes, 1)
        self.fine = nn.ConvTranspose2d(2 * width, classes, 2, 2)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(
                    module.weight,
                    std=0.1,
                )
        nn.init.normal_(self.first.weight, std=0.5)
        nn.init.normal_(self.spread.weight, std=0.3)

    def forward(self, x):
        x = F.relu(self.norm(self.mix(F.relu(self.spread(F.relu(self.first(x)))))))
        if self.training:
            return self.coarse(x), self.fine(x, output_size=[16, 16])
        return self.fine(x)
""",
    "train.py": """\
import torch
from torch.nn import functional as F

from net import Masks

WIDTH = 16


def run():
    torch.manual_seed(0)
    model = Masks(3, WIDTH, 5)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    images = torch.randn(2, 3, 8, 8)
    small, large = torch.randint(5, (2, 8, 8)), torch.randint(5, (2, 16, 16))
    for _ in range(5):
        coarse, fine = model(images)
        loss = F.cross_entropy(coarse, small) + F.cross_entropy(fine, large)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(repr(loss.item()))
    print(repr(model.eval()(images).sum().item()))


run()
""",
}

RAW_HEADS = {
    "net.py": """\
import torch
import torch.nn.functional as F
from torch import nn


class Net(nn.Module):
    def __init__(self, features, width, classes):
        super().__init__()
        self.enter = nn.Linear(features, width)
        self.body = nn.Linear(width, width)
        self.rows = nn.Parameter(torch.randn(classes, width) * 0.1)
        self.columns = nn.Parameter(torch.randn(width, classes) * 0.1)
        self.sums = nn.Parameter(torch.randn(classes, width) * 0.1)
        self.shift = nn.Parameter(torch.zeros(classes))

    def forward(self, x):
        x = torch.relu(self.enter(x))
        y = torch.relu(self.body(x))
        first = F.linear(y, self.rows, self.shift)
        second = (x + y) @ self.columns
        return first, second, torch.einsum('bi,oi->bo', y, self.sums)
""",
    "train.py": """\
import torch
from torch.nn import functional as F

from net import Net

torch.manual_seed(0)
width = 32
net = Net(6, width, 4)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
x, y = torch.randn(16, 6), torch.randint(4, (16,))
for _ in range(5):
    loss = sum(F.cross_entropy(logits, y) for logits in net(x))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(repr(loss.item()))
""",
}

LIBRARY_ATTENTION = {
    "net.py": """\
import torch
from torch import nn


class Mixer(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.inner = nn.MultiheadAttention(width, heads, bias=False, batch_first=True)
        self.last = nn.LayerNorm(width)
        self.across = nn.MultiheadAttention(width, heads, 0.0, False, batch_first=True)

    def forward(self, x, memory):
        y = self.norm(x)
        x = x + self.inner(y, y, y, need_weights=False)[0]
        y = self.last(x)
        mixed, _ = self.across(query=y, key=memory, value=memory)
        return x + mixed


class Net(nn.Module):
    def __init__(self, vocabulary, width, heads):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, width)
        self.layers = nn.ModuleList([Mixer(width, heads) for _ in range(2)])
        self.head = nn.Linear(width, vocabulary)

    def forward(self, tokens):
        memory = self.embed(tokens)
        x = memory
        for layer in self.layers:
            x = layer(x, memory)
        return self.head(x)
""",
    "train.py": """\
import torch
from torch.nn import functional as F

from net import Net

WIDTH = 32
torch.manual_seed(0)
net = Net(11, WIDTH, 4)
optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
tokens = torch.randint(11, (4, 7))
for _ in range(5):
    loss = F.cross_entropy(net(tokens).transpose(1, 2), tokens.roll(1, 1))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(repr(loss.item()))
net.eval()
with torch.no_grad():
    print(repr(net(tokens).sum().item()))
""",
}

# A floor of a schedule that another one starts, and of one with restarts.
_FLOORS = {
    "net.py": CONFIG_CLASS["net.py"],
    "train.py": CONFIG_CLASS["train.py"]
    .replace(
        "import torch.optim as optim\n",
        "import torch.optim as optim\n"
        "from torch.optim.lr_scheduler import CosineAnnealingWarmRestarts, LinearLR, SequentialLR\n",
    )
    .replace(
        "    tokens = torch.randint(19, (3, 8))\n",
        "    tokens = torch.randint(19, (3, 8))\n"
        "    warm = LinearLR(optimizer, 0.5, total_iters=2)\n"
        "    cosine = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=6, eta_min=1e-3)\n"
        "    schedule = SequentialLR(optimizer, [warm, cosine], [2])\n",
    )
    .replace("range(4)", "range(9)")
    .replace("        optimizer.step()\n", "        optimizer.step()\n        schedule.step()\n")
    .replace(
        "        print(repr(loss.item()))\n",
        "        print(repr(loss.item()), schedule.get_last_lr()[0])\n"
        "    print(sorted(cosine.state_dict()))\n"
        "    CosineAnnealingWarmRestarts(optimizer, 3, eta_min=1e-4).step()\n"
        "    print(optimizer.param_groups[0]['lr'])\n",
    ),
}

_OWN_LAYERS = {
    "model.py": """\
import torch
import torch.nn.functional as F
from torch import nn

MODELS = {}


def register(kind):
    MODELS[kind.__name__] = kind
    return kind


class CastLinear(nn.Linear):
    def forward(self, x):
        return F.linear(x, self.weight.to(x.dtype), None if self.bias is None else self.bias.to(x.dtype))


class Block(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.mix = CastLinear(dim, dim)

    def forward(self, x):
        return x + self.mix(self.norm(x)).relu()


# What every script builds.
@register
class Decoder(nn.Module):
    def __init__(self, vocabulary, dim, depth=2):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, dim)
        self.blocks = nn.Sequential(*[Block(dim) for _ in range(depth)])
        self.lm_head = CastLinear(dim, vocabulary)
        self.lm_head.weight.data.zero_()

    def forward(self, tokens):
        return self.lm_head(self.blocks(self.embed(tokens))).float()
""",
    "train.py": """\
import torch
import torch.nn.functional as F

from model import Decoder

torch.manual_seed(0)
model = Decoder(vocabulary=17, dim=32)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
for step in range(5):
    tokens = torch.randint(17, (4, 9))
    loss = F.cross_entropy(model(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, repr(loss.item()))
""",
}

# The table of the tokens is what reads the model out, by a product; the rate is that of the optimizer's class.
_TABLE_PRODUCT = {
    "model.py": _OWN_LAYERS["model.py"]
    .replace(
        "        self.lm_head = CastLinear(dim, vocabulary)\n        self.lm_head.weight.data.zero_()\n",
        "        self.scale = nn.Parameter(torch.ones(dim))\n",
    )
    .replace(
        "return self.lm_head(self.blocks(self.embed(tokens))).float()",
        "x = self.blocks(self.embed(tokens)) * self.scale\n"
        "        return (x @ torch.transpose(self.embed.weight.to(x.dtype), 0, 1)).float()",
    ),
    "train.py": _OWN_LAYERS["train.py"].replace(", lr=1e-3", ""),
}

STYLES = {
    "own-layers": (_OWN_LAYERS, ["train.py"]),
    "table-product": (_TABLE_PRODUCT, ["train.py"]),
    "floors": (_FLOORS, ["train.py"]),
    "library-attention": (LIBRARY_ATTENTION, ["train.py"]),
    "convolutions": (CONVOLUTIONS, ["train.py"]),
    "raw-heads": (RAW_HEADS, ["train.py"]),
    "cycle": (_CYCLE, ["train.py"]),
    "threaded": (THREADED, ["train.py"]),
    "factory": (FACTORY, ["-m", "pack.train"]),
    "config-class": (CONFIG_CLASS, ["train.py"]),
}

CASES = {
    "library-attention": """\
import torch
import mulint
from mup_scaling import ADAM, scale_groups
from net import Net
from torch.nn import functional as F


def case(width):
    torch.manual_seed(0)
    net = Net(11, int(width), 4, base_width=32)
    tokens = torch.randint(11, (64, 7))

    def loss(model, batch):
        return F.cross_entropy(model(batch).transpose(1, 2), batch.roll(1, 1))

    def optimizer(model):
        return torch.optim.Adam(scale_groups(model.parameters(), model, ADAM, lr=1e-3), lr=1e-3)

    return mulint.Case(net, tokens, loss, optimizer)
""",
    "convolutions": """\
import torch
import mulint
from mup_scaling import ADAMW, scale_groups
from net import Masks
from torch.nn import functional as F


def case(width):
    torch.manual_seed(0)
    net = Masks(3, int(width), 5, base_width=32)
    batch = torch.randn(2, 3, 8, 8), torch.randint(5, (2, 8, 8)), torch.randint(5, (2, 16, 16))

    def loss(model, batch):
        coarse, fine = model(batch[0])
        return F.cross_entropy(coarse, batch[1]) + F.cross_entropy(fine, batch[2])

    def optimizer(model):
        return torch.optim.AdamW(scale_groups(model.parameters(), model, ADAMW, lr=1e-3), lr=1e-3)

    return mulint.Case(net, batch, loss, optimizer)
""",
    "raw-heads": """\
import torch
import mulint
from mup_scaling import SGD, scale_groups
from net import Net
from torch.nn import functional as F


def case(width):
    torch.manual_seed(0)
    net = Net(6, int(width), 4, base_width=32)
    batch = torch.randn(16, 6), torch.randint(4, (16,))

    def loss(model, batch):
        return sum(F.cross_entropy(logits, batch[1]) for logits in model(batch[0]))

    def optimizer(model):
        return torch.optim.SGD(scale_groups(model.parameters(), model, SGD, lr=0.1), lr=0.1)

    return mulint.Case(net, batch, loss, optimizer)
""",
    "threaded": """\
import torch
import mulint
from mup_scaling import ADAMW, scale_groups
from net import Net
from torch.nn import functional as F


def case(width):
    torch.manual_seed(0)
    net = Net(17, int(width), 4, base_width=32, base_heads=4)
    tokens = torch.randint(17, (4, 9))

    def loss(model, batch):
        return F.cross_entropy(model(batch[:, :-1]).reshape(-1, 17), batch[:, 1:].reshape(-1))

    def optimizer(model):
        groups = scale_groups(model.parameters(), model, ADAMW, lr=1e-3, weight_decay=0.01)
        return torch.optim.AdamW(groups, lr=1e-3)

    return mulint.Case(net, tokens, loss, optimizer)
""",
    "factory": """\
import torch
import mulint
from pack.mup_scaling import SGD, scale_groups
from pack.net import Net


def case(width):
    torch.manual_seed(0)
    s = Net.defaults()
    s.width, s.depth, s.base_width = int(width), 2, 32
    net = Net(s)
    batch = torch.randn(16, 5), torch.randint(7, (16,))

    def loss(model, batch):
        return torch.nn.functional.cross_entropy(model(batch[0]), batch[1])

    def optimizer(model):
        return torch.optim.SGD(scale_groups(model.parameters(), model, SGD, lr=0.01), lr=0.01)

    return mulint.Case(net, batch, loss, optimizer)
""",
}

_LIBRARY_ATTENTION = {
    "net.py": """\
from torch import nn


class Net(nn.Module):
    def __init__(self, vocabulary, width, heads):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, width)
        self.mix = nn.MultiheadAttention(width, heads, batch_first=True)
        self.head = nn.Linear(width, vocabulary)

    def forward(self, tokens):
        x = self.embed(tokens)
        x, _ = self.mix(x, x, x)
        return self.head(x)
""",
    "train.py": """\
import torch
from net import Net

width = 64
net = Net(11, width, 4)
optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
""",
}

_QUERY_EXPRESSION = {
    "net.py": _LIBRARY_ATTENTION["net.py"]
    .replace("heads, batch_first", "heads, bias=False, batch_first")
    .replace("self.mix(x, x, x)", "self.mix(x + 1, x, x)"),
    "train.py": _LIBRARY_ATTENTION["train.py"],
}

_UNUSUAL_PRODUCT = {
    "net.py": """\
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, features, width, classes):
        super().__init__()
        self.enter = nn.Linear(features, width)
        self.body = nn.Linear(width, width)
        self.leave = nn.Parameter(torch.zeros(width, classes))

    def forward(self, x):
        leave = self.leave
        return torch.relu(self.body(torch.relu(self.enter(x)))) @ leave


def build_optimizer(net: Net, lr):
    return torch.optim.Adam(net.parameters(), lr=lr)
""",
}

_SHARED_CALL = {
    "net.py": """\
from torch import nn


def dense(inward, outward):
    return nn.Linear(inward, outward)


class Net(nn.Module):
    def __init__(self, features, width, classes):
        super().__init__()
        self.enter = dense(features, width)
        self.body = dense(width, width)
        self.leave = dense(width, classes)

    def forward(self, x):
        return self.leave(self.body(self.enter(x)))
""",
}

_INIT_OUTSIDE = {
    "net.py": """\
import torch
from torch import nn


def draw(module):
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=0.02)


class Net(nn.Module):
    def __init__(self, features, width, classes):
        super().__init__()
        self.enter = nn.Linear(features, width)
        self.body = nn.Linear(width, width)
        self.leave = nn.Linear(width, classes)
        self.apply(draw)

    def forward(self, x):
        return self.leave(torch.relu(self.body(torch.relu(self.enter(x)))))


def build_optimizer(net: Net, lr):
    return torch.optim.Adam(net.parameters(), lr=lr)
""",
}

_BARE_MATRIX = {
    "net.py": """\
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, features, width, classes):
        super().__init__()
        self.enter = nn.Linear(features, width)
        self.body = nn.Parameter(torch.randn(width, width) * width**-0.5)
        self.leave = nn.Linear(width, classes)

    def forward(self, x):
        return self.leave(torch.relu(torch.relu(self.enter(x)) @ self.body))


def build_optimizer(net: Net, lr):
    return torch.optim.Adam(net.parameters(), lr=lr)
""",
}

_TRANSPOSED_LAYER = {
    "net.py": """\
import torch
from torch import nn
from transformers.pytorch_utils import Conv1D


class Net(nn.Module):
    def __init__(self, features, width, classes):
        super().__init__()
        self.enter = nn.Linear(features, width)
        self.body = Conv1D(width, width)
        nn.init.xavier_normal_(self.body.weight)
        self.leave = nn.Linear(width, classes)

    def forward(self, x):
        return self.leave(torch.relu(self.body(torch.relu(self.enter(x)))))


def build_optimizer(net: Net, lr):
    return torch.optim.Adam(net.parameters(), lr=lr)
""",
}

_COMPUTED_SIZE = {
    "net.py": """\
from torch import nn


class Head(nn.Module):
    def __init__(self, inward, classes):
        super().__init__()
        self.leave = nn.Linear(inward, classes)

    def forward(self, x):
        return self.leave(x)


class Net(nn.Module):
    def __init__(self, features, width, classes):
        super().__init__()
        self.enter = nn.Linear(features, width)
        self.body = nn.Linear(width, width)
        self.head = Head(width * 1, classes)

    def forward(self, x):
        return self.head(self.body(self.enter(x)))
""",
}

# Repositories in which something cannot be rewritten: the code that is left, and a part of the reason.
REFUSED = {
    "attention inside a library's layer": (_LIBRARY_ATTENTION, "MU405", "adds a bias to the query"),
    "a query that is an expression": (_QUERY_EXPRESSION, "MU405", "its query is no variable"),
    "a parameter under another name": (_UNUSUAL_PRODUCT, "MU410", "was not recognised"),
    "one call for readouts and other layers": (_SHARED_CALL, "MU401", "readout"),
    "an init outside of the model": (_INIT_OUTSIDE, "MU301", "outside of a model class"),
    "a bare matrix": (_BARE_MATRIX, "MU101", "bare parameter"),
    "a layer that stores its weight the other way round": (_TRANSPOSED_LAYER, "MU101", "stored as (in, out)"),
    "a size computed on the way": (_COMPUTED_SIZE, "MU401", "computed on the way"),
}
