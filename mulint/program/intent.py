"""Does a package ask for μP? From configuration, from what it imports and uses, or from its own multipliers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction

from mulint.facts import FileFacts
from mulint.facts import syntax as s
from mulint.findings import Intent, Package
from mulint.program.dimensions import Symbol
from mulint.program.packages import Packages, package_of
from mulint.program.ratios import ratio_base
from mulint.program.records import Observations
from mulint.program.statements import MUP_PACKAGES
from mulint.program.values import Number, Site, as_number
from mulint.program.widths import size_symbols


def packages(
    files: Sequence[FileFacts],
    seen: Observations,
    widths: frozenset[Symbol],
    multipliers: Mapping[Symbol, Site],
    opted_in: Callable[[str], bool],
) -> tuple[Package, ...]:
    """The intent of every package, in order of their paths.

    Top-level folders all have an entry; folders inside one that holds several unconnected models have one
    where their own model asks for μP.
    """
    evidence: dict[str, str] = {}
    within = Packages(seen)
    given = [(site, f"scales by the width multiplier {symbol.short}") for symbol, site in multipliers.items()]
    for site, because in [*_imports(files), *given, *_scaled(seen, widths)]:
        for folder in within.around(site.path):
            evidence.setdefault(folder, f"{because} ({site.path}:{site.line})")
    chosen = {package_of(f.path) for f in files if opted_in(f.path)}
    result: list[Package] = []
    for name in sorted({package_of(f.path) for f in files} | evidence.keys()):
        if package_of(f"{name}/") in chosen:
            result.append(Package(name, Intent.OPTED_IN, "pyproject.toml has a [tool.mulint] table"))
        elif name in evidence:
            result.append(Package(name, Intent.EVIDENT, evidence[name]))
        else:
            result.append(Package(name, Intent.NONE, "no use of the mup package and no width multiplier"))
    return tuple(result)


def _imports(files: Sequence[FileFacts]) -> Iterator[tuple[Site, str]]:
    """Imports of a μP package whose names are used in the same file."""
    for facts in files:
        bound: dict[str, s.Import] = {}
        for node in s.walk(facts.body):
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
    sizes = size_symbols(seen)
    for site, number in _factors(seen, widths):
        base = ratio_base(number, widths, sizes)
        if base is not None:
            yield site, base


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
