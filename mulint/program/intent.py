"""Does a package ask for μP? From configuration, from what it imports and uses, or from its own multipliers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction

from mulint.facts import FileFacts
from mulint.facts import syntax as s
from mulint.findings import Intent, Package, Signs
from mulint.program.dimensions import Symbol
from mulint.program.numbers import Number
from mulint.program.observations import Observations
from mulint.program.packages import Packages, connections, enclosing, package_of
from mulint.program.ratios import likeliest_bases
from mulint.program.scopes import MUP_PACKAGES
from mulint.program.values import Site, as_number
from mulint.program.widths import size_symbols


def signs(
    files: Sequence[FileFacts],
    seen: Observations,
    widths: frozenset[Symbol],
    multipliers: Mapping[Symbol, Site],
) -> Signs:
    """What files that were run together say of the intent of their packages."""
    given = ((site, f"scales by the width multiplier {symbol.short}") for symbol, site in multipliers.items())
    ranked = enumerate((_imports(files), given, _scaled(seen, widths)))
    evidence = {(rank, site.path, site.line, because) for rank, found in ranked for site, because in found}
    return Signs(
        files=tuple(sorted(f.path for f in files)),
        connected=tuple(sorted(connections(seen))),
        evidence=tuple(sorted(evidence)),
    )


def packages(signs: Sequence[Signs], *, opted_in: bool) -> tuple[Package, ...]:
    """The intent of every package, in order of their paths.

    Top-level folders all have an entry; folders inside one that holds several unconnected models have one
    where their own model asks for μP.

    Args:
        signs: what all files of a project say, in any parts and order.
        opted_in: whether the configuration asks for μP.
    """
    files = [path for some in signs for path in some.files]
    within = Packages(sorted({pair for some in signs for pair in some.connected}))
    evidence: dict[str, str] = {}
    for _, path, line, because in sorted(item for some in signs for item in some.evidence):
        for folder in within.around(path):
            evidence.setdefault(folder, f"{because} ({path}:{line})")
    chosen = {package_of(path) for path in files} if opted_in else set()
    result: list[Package] = []
    for name in sorted({package_of(path) for path in files} | evidence.keys()):
        if package_of(f"{name}/") in chosen:
            result.append(Package(name, Intent.OPTED_IN, "pyproject.toml has a [tool.mulint] table"))
        elif name in evidence:
            result.append(Package(name, Intent.EVIDENT, evidence[name]))
        else:
            result.append(Package(name, Intent.NONE, "no use of the mup package and no width multiplier"))
    return tuple(result)


def strongest(known: Sequence[Package]) -> Intent:
    """The strongest intent of any package."""
    return max((p.intent for p in known), key=list(Intent).index, default=Intent.NONE)


def intent_of(path: str, known: Sequence[Package]) -> Intent:
    """The intent of the innermost package that holds a file."""
    intents = {p.path: p.intent for p in known}
    return next((intents[folder] for folder in enclosing(path) if folder in intents), Intent.NONE)


def _imports(files: Sequence[FileFacts]) -> Iterator[tuple[Site, str]]:
    """Imports of a μP package whose names are used in the same file."""
    for facts in files:
        bound: dict[str, s.Import] = {}
        for node in s.statements(facts.body):
            if isinstance(node, s.Import) and not node.level and node.module.partition(".")[0] in MUP_PACKAGES:
                bound[node.binds] = node
        if not bound:
            continue
        used = {node.id for node in s.walk(facts.body) if isinstance(node, s.Name)}
        for name, node in bound.items():
            if name in used or name == "*":
                yield Site(facts.path, node.span), f"uses the package {node.module.partition('.')[0]}"
                break


def _is_whole(number: Number, widths: frozenset[Symbol]) -> bool:
    """Whether a width is in a factor with a whole power: the root alone is attention's customary scale."""
    terms = [powers for size in number.alternatives for powers, _ in size.terms]
    return all(sum((p for s, p in term if s in widths), Fraction(0)).denominator == 1 for term in terms)


def _scaled(seen: Observations, widths: frozenset[Symbol]) -> Iterator[tuple[Site, str]]:
    return ((site, f"scales by a width relative to {base.short}") for site, base in base_widths(seen, widths))


def base_widths(seen: Observations, widths: frozenset[Symbol]) -> Iterator[tuple[Site, Symbol]]:
    """The base widths that rates, init scales and multipliers are relative to, and where."""
    factors = list(_factors(seen, widths))
    bases = likeliest_bases([number for _, number in factors], widths, size_symbols(seen))
    yield from ((site, base) for (site, _), base in zip(factors, bases, strict=True) if base is not None)


def _factors(seen: Observations, widths: frozenset[Symbol]) -> Iterable[tuple[Site, Number]]:
    for record in seen.optimizers:
        for group in record.groups:
            for options in (group.options, record.options):
                if "lr" in options:
                    yield record.site, as_number(options["lr"])
    for weight in seen.weights:
        for init in weight.inits:
            yield init.site, init.std
    for attention in seen.attentions:
        if _is_whole(attention.factor, widths):
            yield attention.site, attention.factor
    for application in seen.applications:
        if not application.returned and application.kind != "lookup":
            continue  # inside a model a factor may belong to attention
        for number in (application.before, *(after for after, _ in application.after)):
            if _is_whole(number, widths):
                yield application.site, number
