"""One fault at a time: exact replacements in the correct μP fixtures, each with the one code it must give."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Injection:
    """Replace the only occurrence of ``old`` in one file of a fixture by ``new``."""

    name: str
    fixture: str
    path: str
    old: str
    new: str
    code: str


INJECTIONS = (
    Injection(
        "hidden rate left at the base rate",
        "gpt_mup",
        "model.py",
        """                "lr": learning_rate / ratio,
""",
        """                "lr": learning_rate,
""",
        "MU101",
    ),
    Injection(
        "one group for the MLP under Adam",
        "mlp_mup",
        "train_adam.py",
        """    groups = [{"params": hidden, "lr": args.lr / model.ratio}, {"params": head + others, "lr": args.lr}]
    optimizer = Adam(groups)
""",
        """    optimizer = Adam(hidden + head + others, lr=args.lr)
""",
        "MU101",
    ),
    Injection(
        "one rate under SGD",
        "mlp_mup",
        "train_sgd.py",
        """    optimizer = torch.optim.SGD(groups, lr=args.lr, momentum=0.9)
""",
        """    optimizer = torch.optim.SGD(model.parameters(), lr=args.lr, momentum=0.9)
""",
        "MU102",
    ),
    Injection(
        "embeddings scaled with every other matrix",
        "gpt_mup",
        "model.py",
        """            {"params": embeddings, "lr": learning_rate, "lr_scale": 1.0, "weight_decay": weight_decay},
""",
        """            {"params": embeddings, "lr": learning_rate / ratio, "lr_scale": 1 / ratio},
""",
        "MU104",
    ),
    Injection(
        "every matrix in the group of hidden weights",
        "gpt_mup",
        "model.py",
        """        hidden = [p for n, p in trainable.items() if n.startswith("layers.") and p.dim() >= 2]
        embeddings = [p for n, p in trainable.items() if not n.startswith("layers.") and p.dim() >= 2]
""",
        """        hidden = [p for n, p in trainable.items() if p.dim() >= 2]
        embeddings = []
""",
        "MU104",
    ),
    Injection(
        "groups by number of dimensions",
        "gpt_mup_untied",
        "model.py",
        """    matrices = [model.mixer.here.weight, model.mixer.past.weight, model.head.weight]
""",
        """    matrices = [p for p in model.parameters() if p.ndim >= 2]
""",
        "MU104",
    ),
    Injection(
        "weight decay left as it was beside a smaller rate",
        "gpt_mup",
        "model.py",
        """                "weight_decay": weight_decay * ratio,
""",
        """                "weight_decay": weight_decay,
""",
        "MU112",
    ),
    Injection(
        "weight decay added to the gradient",
        "mlp_mup",
        "train_adam.py",
        """    optimizer = Adam(groups)
""",
        """    optimizer = Adam(groups, weight_decay=0.1)
""",
        "MU112",
    ),
    Injection(
        "Adam's factors under SGD",
        "mlp_mup",
        "train_adam.py",
        """    optimizer = Adam(groups)
""",
        """    optimizer = torch.optim.SGD(groups)
""",
        "MU103",
    ),
    Injection(
        "SGD's factors under Adam",
        "mlp_mup",
        "train_sgd.py",
        """    optimizer = torch.optim.SGD(groups, lr=args.lr, momentum=0.9)
""",
        """    optimizer = torch.optim.Adam(groups, lr=args.lr)
""",
        "MU103",
    ),
    Injection(
        "the rate of every group divided by the width",
        "gpt_mup_untied",
        "model.py",
        """            {"params": others, "lr": lr},
""",
        """            {"params": others, "lr": lr / ratio},
""",
        "MU105",
    ),
    Injection(
        "an MLP of its own size with the factor of the model's width",
        "gpt_mup_untied",
        "model.py",
        """    context: int = 32


class Mixer(nn.Module):
    \"\"\"Mixes a token with the mean of those before it.\"\"\"

    def __init__(self, config):
        super().__init__()
        self.here = nn.Linear(config.width, config.width)
        self.past = nn.Linear(config.width, config.width)

    def forward(self, x):
        steps = torch.arange(1, x.shape[1] + 1, device=x.device).view(1, -1, 1)
        return F.gelu(self.here(x) + self.past(x.cumsum(dim=1) / steps))
""",
        """    context: int = 32
    inner: int = 512


class Mixer(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.here = nn.Linear(config.width, config.inner)
        self.past = nn.Linear(config.inner, config.width)

    def forward(self, x):
        return self.past(F.gelu(self.here(x)))
""",
        "MU106",
    ),
    Injection(
        "a hidden weight that the list forgets",
        "gpt_mup_untied",
        "model.py",
        """    matrices = [model.mixer.here.weight, model.mixer.past.weight, model.head.weight]
""",
        """    matrices = [model.mixer.here.weight, model.head.weight]
""",
        "MU113",
    ),
    Injection(
        "Muon that matches Adam's size",
        "gpt_mup",
        "model.py",
        """    return torch.optim.AdamW(groups, lr=learning_rate, betas=betas, **extra)
""",
        """    del groups
        return torch.optim.Muon(hidden, lr=learning_rate, adjust_lr_fn="match_rms_adamw")
""",
        "MU109",
    ),
    Injection(
        "Adafactor as it comes",
        "gpt_mup",
        "model.py",
        """    return torch.optim.AdamW(groups, lr=learning_rate, betas=betas, **extra)
""",
        """    from transformers import Adafactor

        return Adafactor(self.parameters())
""",
        "MU110",
    ),
    Injection(
        "a large epsilon",
        "mlp_mup",
        "train_adam.py",
        """    optimizer = Adam(groups)
""",
        """    optimizer = Adam(groups, eps=1e-4)
""",
        "MU111",
    ),
    Injection(
        "an optimizer from the factory of a library",
        "gpt_mup",
        "model.py",
        """    return torch.optim.AdamW(groups, lr=learning_rate, betas=betas, **extra)
""",
        """    from timm.optim import create_optimizer_v2

        return create_optimizer_v2(self, opt="adamw", lr=learning_rate)
""",
        "MU114",
    ),
    Injection(
        "scaled groups given to the mup package",
        "mlp_mup",
        "train_adam.py",
        """    optimizer = Adam(groups)
""",
        """    from mup import MuAdam

    optimizer = MuAdam(groups)
""",
        "MU116",
    ),
    Injection(
        "a class of its own",
        "mlp_mup",
        "train_adam.py",
        """    optimizer = Adam(groups)
""",
        """    class Normalised(torch.optim.Optimizer):
        def __init__(self, params, lr=1e-3):
            super().__init__(params, {"lr": lr})

    optimizer = Normalised(groups)
""",
        "MU119",
    ),
    Injection(
        "the factor after the scheduler",
        "mlp_mup",
        "train_adam.py",
        """    scheduler = StepLR(optimizer, step_size=4, gamma=0.5)
""",
        """    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.5 ** (step // 4))
    for group in optimizer.param_groups:
        group["lr"] = group["lr"] / model.ratio
""",
        "MU204",
    ),
    Injection(
        "a warm-up to one rate",
        "mlp_mup",
        "train_adam.py",
        """    scheduler = StepLR(optimizer, step_size=4, gamma=0.5)
""",
        """    from deepspeed.runtime.lr_schedules import WarmupLR

    scheduler = WarmupLR(optimizer, warmup_max_lr=args.lr)
""",
        "MU205",
    ),
    Injection(
        "torch's AdamW on a mup model",
        "mup_package",
        "train.py",
        """    optimizer = MuAdamW(model.parameters(), lr=args.lr, weight_decay=args.weight_decay)
""",
        """    optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr, weight_decay=args.weight_decay)
""",
        "MU108",
    ),
    Injection(
        "the AdamW that mup re-exports",
        "mup_package",
        "train.py",
        """    optimizer = MuAdamW(model.parameters(), lr=args.lr, weight_decay=args.weight_decay)
""",
        """    from mup.optim import AdamW

    optimizer = AdamW(model.parameters(), lr=args.lr, weight_decay=args.weight_decay)
""",
        "MU108",
    ),
    Injection(
        "steps taken by hand",
        "mlp_mup",
        "train_sgd.py",
        """        optimizer.step()
""",
        """        with torch.no_grad():
            for p in model.parameters():
                p -= args.lr * p.grad
""",
        "MU118",
    ),
    Injection(
        "steps on fast weights",
        "mlp_mup",
        "train_sgd.py",
        """        loss.backward()
        optimizer.step()
""",
        """        grads = torch.autograd.grad(loss, list(model.parameters()))
        fast = [w - args.lr * g for w, g in zip(model.parameters(), grads)]
        print(len(fast))
""",
        "MU118",
    ),
    Injection(
        "one peak rate for all groups",
        "mlp_mup",
        "train_sgd.py",
        """    scheduler = CosineAnnealingLR(optimizer, T_max=args.steps)
""",
        """    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, args.lr, total_steps=args.steps)
""",
        "MU202",
    ),
    Injection(
        "a floor for all groups",
        "mlp_mup",
        "train_sgd.py",
        """    scheduler = CosineAnnealingLR(optimizer, T_max=args.steps)
""",
        """    scheduler = CosineAnnealingLR(optimizer, args.steps, 1e-4)
""",
        "MU203",
    ),
    Injection(
        "a schedule for the first group only",
        "mlp_mup",
        "train_sgd.py",
        """        scheduler.step()
""",
        """        optimizer.param_groups[0]["lr"] = args.lr * (1 - step / args.steps)
""",
        "MU206",
    ),
    Injection(
        "a rate given as a factor",
        "mlp_mup",
        "train_sgd.py",
        """    scheduler = CosineAnnealingLR(optimizer, T_max=args.steps)
""",
        """    decay = lambda step: args.lr * (1 - step / args.steps)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lr_lambda=decay)
""",
        "MU207",
    ),
    Injection(
        "an embedding drawn smaller the wider the model",
        "gpt_mup_untied",
        "model.py",
        """        nn.init.normal_(self.embed.weight, std=0.02)
""",
        """        nn.init.normal_(self.embed.weight, std=config.width**-0.5)
""",
        "MU302",
    ),
    Injection(
        "half the power on the head",
        "mlp_mup",
        "model.py",
        """        return self.head(self.features(x) / self.ratio)
""",
        """        return self.head(self.features(x) / self.ratio**0.5)
""",
        "MU402",
    ),
    Injection(
        "an absolute rate each step",
        "gpt_mup",
        "train.py",
        """        group["lr"] = lr * group["lr_scale"]
""",
        """        group["lr"] = lr
""",
        "MU201",
    ),
    Injection(
        "an absolute rate through an index",
        "gpt_mup",
        "train.py",
        """    for group in optimizer.param_groups:
        group["lr"] = lr * group["lr_scale"]
""",
        """    for i, _ in enumerate(optimizer.param_groups):
        optimizer.param_groups[i]["lr"] = lr
""",
        "MU201",
    ),
    Injection(
        "a constant std in _init_weights",
        "gpt_mup",
        "model.py",
        """            nn.init.normal_(module.weight, mean=0.0, std=0.02 * self.config.width_ratio**-0.5)
""",
        """            nn.init.normal_(module.weight, mean=0.0, std=0.02)
""",
        "MU301",
    ),
    Injection(
        "a constant std for the residual projections",
        "gpt_mup",
        "model.py",
        """                nn.init.normal_(p, mean=0.0, std=std * config.width_ratio**-0.5)
""",
        """                p.data.normal_(0.0, std)
""",
        "MU301",
    ),
    Injection(
        "torch's init where mup's was",
        "mup_package",
        "train.py",
        """from mup.init import normal_
""",
        """from torch.nn.init import normal_
""",
        "MU308",
    ),
    Injection(
        "a constant std for a readout without multiplier",
        "gpt_mup_untied",
        "model.py",
        """        nn.init.zeros_(self.head.weight)
""",
        """        nn.init.normal_(self.head.weight, std=0.02)
""",
        "MU304",
    ),
    Injection(
        "a head without its multiplier",
        "mlp_mup",
        "model.py",
        """        return self.head(self.features(x) / self.ratio)
""",
        """        return self.head(self.features(x))
""",
        "MU401",
    ),
    Injection(
        "a convolution for the head, without its multiplier",
        "mlp_mup",
        "model.py",
        """        self.head = nn.Linear(hidden, classes)
        # torch draws the head with a std of 1/sqrt(hidden); the multiplier wants that of the base width
        nn.init.normal_(self.head.weight, std=base_hidden**-0.5)

    def features(self, x):
        x = self.act(self.first(x))
        for layer in self.body:
            x = self.act(layer(x))
        return x

    def forward(self, x):
        return self.head(self.features(x) / self.ratio)
""",
        """        self.head = nn.Conv1d(hidden, classes, 1)

    def features(self, x):
        x = self.act(self.first(x))
        for layer in self.body:
            x = self.act(layer(x))
        return x

    def forward(self, x):
        return self.head(self.features(x).unsqueeze(-1)).squeeze(-1)
""",
        "MU410",
    ),
    Injection(
        "a plain linear readout in a mup model",
        "mup_package",
        "model.py",
        """        self.readout = MuReadout(d_model, classes, readout_zero_init=True)
""",
        """        self.readout = nn.Linear(d_model, classes)
""",
        "MU401",
    ),
    Injection(
        "a readout that learns at the base rate",
        "gpt_mup_untied",
        "model.py",
        """    matrices = [model.mixer.here.weight, model.mixer.past.weight, model.head.weight]
""",
        """    matrices = [model.mixer.here.weight, model.mixer.past.weight]
""",
        "MU401",
    ),
    Injection(
        "the multiplier on the training path only",
        "mlp_mup",
        "model.py",
        """        return self.head(self.features(x) / self.ratio)
""",
        """        if self.training:
            return self.head(self.features(x) / self.ratio)
        return self.head(self.features(x))
""",
        "MU403",
    ),
    Injection(
        "an embedding times the root of the width",
        "gpt_mup",
        "model.py",
        """        x = self.drop(self.tok_embed(tokens) + self.pos_embed(positions))
""",
        """        x = self.tok_embed(tokens) * math.sqrt(self.config.n_embd)
        x = self.drop(x + self.pos_embed(positions))
""",
        "MU404",
    ),
    Injection(
        "the fused attention with torch's own scale",
        "gpt_mup",
        "model.py",
        """            y = F.scaled_dot_product_attention(q, k, v, dropout_p=p, is_causal=True, scale=scale)
""",
        """            y = F.scaled_dot_product_attention(q, k, v, dropout_p=p, is_causal=True)
""",
        "MU405",
    ),
    Injection(
        "the manual attention without its ratio",
        "gpt_mup",
        "model.py",
        """            scores = scores * self.head_ratio**-0.5
""",
        "",
        "MU405",
    ),
    Injection(
        "one over the root of d in a mup model",
        "mup_package",
        "model.py",
        """        logits = torch.matmul(q, k.transpose(2, 3)) * 8 / d
""",
        """        logits = torch.matmul(q, k.transpose(2, 3)) * d**-0.5
""",
        "MU405",
    ),
    Injection(
        "a tied readout without its multiplier",
        "gpt_mup",
        "model.py",
        """        return super().forward(x / self.ratio)
""",
        """        return super().forward(x)
""",
        "MU409",
    ),
    Injection(
        "the multiplier where its root is due",
        "gpt_mup",
        "model.py",
        """            nn.init.normal_(module.weight, mean=0.0, std=0.02 * self.config.width_ratio**-0.5)
""",
        """            nn.init.normal_(module.weight, mean=0.0, std=0.02 / self.config.width_ratio)
""",
        "MU311",
    ),
    Injection(
        "a stack of matrices drawn by its fans",
        "mlp_fixed",
        "model.py",
        """        self.act = nn.ReLU()
        self.head = Readout(hidden, classes, ratio=self.width_ratio)

    def forward(self, x):
        x = self.act(self.first(x))
""",
        """        import torch

        self.act = nn.ReLU()
        self.head = Readout(hidden, classes, ratio=self.width_ratio)
        self.stack = nn.Parameter(torch.empty(layers, hidden, hidden))
        nn.init.xavier_uniform_(self.stack)

    def forward(self, x):
        x = (self.act(self.first(x)) @ self.stack).mean(0)
""",
        "MU305",
    ),
    Injection(
        "a recurrent layer over a series of numbers",
        "mlp_fixed",
        "model.py",
        """        self.first = nn.Linear(features, hidden)
""",
        """        self.first = nn.Linear(features, hidden)
        self.cell = nn.GRU(1, hidden)
""",
        "MU306",
    ),
    Injection(
        "a bottleneck at the base rate",
        "gpt_mup_untied",
        "model.py",
        """        self.past = nn.Linear(config.width, config.width)

    def forward(self, x):
""",
        """        self.past = nn.Linear(config.width, config.width)
        self.down = nn.Linear(config.width, 8)
        self.up = nn.Linear(8, config.width)

    def forward(self, x):
        x = x + self.up(self.down(x))
""",
        "MU412",
    ),
    Injection(
        "a gate at the base rate",
        "gpt_mup_untied",
        "model.py",
        """        self.past = nn.Linear(config.width, config.width)

    def forward(self, x):
""",
        """        self.past = nn.Linear(config.width, config.width)
        self.gate = nn.Linear(config.width, 1)

    def forward(self, x):
        x = x * self.gate(x).sigmoid()
""",
        "MU413",
    ),
    Injection(
        "vectors of length one between layers",
        "gpt_mup_untied",
        "model.py",
        """        steps = torch""",
        """        x = F.normalize(x, dim=-1)
        steps = torch""",
        "MU408",
    ),
    Injection(
        "a norm of queries and keys for the right scale",
        "gpt_mup",
        "model.py",
        """            y = F.scaled_dot_product_attention(q, k, v, dropout_p=p, is_causal=True, scale=scale)
""",
        """            q, k = F.rms_norm(q, (head_dim,)), F.rms_norm(k, (head_dim,))
            y = F.scaled_dot_product_attention(q, k, v, dropout_p=p, is_causal=True)
""",
        "MU406",
    ),
    Injection(
        "a similarity that is summed over the width",
        "gpt_mup_untied",
        "model.py",
        """        return self.head(self.norm(x))
""",
        """        similarity = (self.mixer.here(x) * self.mixer.past(x)).sum(-1)
        return self.head(self.norm(x)), similarity
""",
        "MU407",
    ),
)
