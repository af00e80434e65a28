"""A trace as one HTML page: verdict, faults, a sortable table of all parameters, and plots."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from html import escape

from mulint.reporting import page, trace_plot, trace_text
from mulint.traces import Contribution, ParameterTrace, Trace

Shown = Callable[[str], str]
CONTRIBUTIONS = ("layer", "built at", "part", "slope", "course")
KINDS = {"pass": "ok", "fail": "violates", "inconclusive": "unknown"}


def render(trace: Trace, shown: Shown) -> str:
    """The page; ``shown`` turns a path of the project into the one to print."""
    return page.page(f"μP trace of {trace.model}", _parts(trace, shown))


def _parts(trace: Trace, shown: Shown) -> Iterator[str]:
    widths = ", ".join(f"{width:g}" for width in trace.widths)
    base = ", ".join(f"{name} = {value:g}" for name, value in trace.base.items())
    yield f"<h1>μP trace of {escape(trace.model)}</h1>"
    how = f"Widths {widths}; base {base}; {trace.device}, {trace.dtype}"
    yield f'<p class="soft">{escape(how)}</p>'
    yield page.verdict(trace_text.closing(trace), KINDS[trace.verdict])
    yield page.listing("Culprits", _culprits(trace, shown))
    yield from _contributions(trace, shown)
    yield page.listing("Findings", _findings(trace, shown))
    yield "<h2>Parameters</h2>"
    yield "<p>Powers of the width: found (want expected), ! where they differ; update is its measured slope.</p>"
    rows = [_row(parameter, shown) for parameter in trace.parameters]
    yield page.table(trace_text.HEADER, rows)
    yield page.listing("Attention", _attention(trace, shown))
    yield from _plots(trace)
    yield page.listing("Assumed", map(escape, trace.assumptions))
    yield page.listing(
        "Held", (f"<code>{escape(f'{name} = {value!r}')}</code>" for name, value in trace.held.items())
    )
    yield page.listing("What the trace cannot see", map(escape, trace.cannot_see))


def _row(parameter: ParameterTrace, shown: Shown) -> list[tuple[str, str, str]]:
    """The cells of the text report; numbers sort by their value."""
    role, uses, fan_in, init, rate, multiplier, verdict = trace_text.cells(parameter, shown)
    for rows, of, *wanted in trace_text.packed(parameter):
        said = ", ".join(
            f"{what} {text}" for what, text in zip(("init", "learning rate"), wanted, strict=True) if text
        )
        role += f"; {rows} {of}" + (f" ({said})" if said else "")
    name = " = ".join((parameter.name, *parameter.aliases))
    kind = parameter.verdict
    return [
        (name, name, ""),
        (role, role, ""),
        (uses, uses, ""),
        (fan_in, fan_in.partition(" ")[0], ""),
        (init, _key(parameter.init.exponent), _off(parameter, "init")),
        (rate, _key(parameter.lr.exponent), _off(parameter, "update")),
        (multiplier, _key(parameter.multiplier.exponent), ""),
        (trace_text.slopes([parameter]), _key(parameter.update.slope), ""),
        (verdict, verdict, kind),
    ]


def _key(value: float | None) -> str:
    return "" if value is None else f"{value:.6f}"


def _off(parameter: ParameterTrace, name: str) -> str:
    return "violates" if any(i.ok is False and i.name == name for i in parameter.invariants) else ""


def _culprits(trace: Trace, shown: Shown) -> Iterator[str]:
    for fault in trace_text.faults(trace):
        decided = [(f.place.path, f.place.line, f"decided here: {escape(f.message)}") for f in fault.decided]
        layers = [(path, line, f"<code>{escape(name)}</code>") for path, line, name in fault.layers]
        places = (
            f"<li><code>{escape(f'{shown(path)}:{line}' if path else 'no place')}</code> {what}</li>"
            for path, line, what in (*decided, *layers)
        )
        yield f"<strong>{escape(fault.code)}</strong> {escape(fault.what)}<ul>{''.join(places)}</ul>"


def _contributions(trace: Trace, shown: Shown) -> Iterator[str]:
    """Every layer with the parts of its change, in the order of the trace; only failing traces have them."""
    if not trace.contributions:
        return
    yield "<h2>Where changes come from</h2>"
    yield (
        "<p>Initial weights pass on what changes below a layer, updates add to it. Slopes in log width; "
        "in μP none grows, and no update shrinks.</p>"
    )
    yield page.table(CONTRIBUTIONS, [_contribution(one, shown) for one in trace.contributions])


def _contribution(one: Contribution, shown: Shown) -> list[tuple[str, str, str]]:
    place = f"{shown(one.path)}:{one.line}" if one.path else "-"
    part = trace_text.part(one)
    slope = f"{one.slope:+.2f}"
    return [
        (one.module, one.module, ""),
        (place, place, ""),
        (part, part, ""),
        (slope, _key(one.slope), ""),
        (one.tends, one.tends, "ok" if one.tends == "stays" else "violates"),
    ]


def _findings(trace: Trace, shown: Shown) -> Iterator[str]:
    for finding in trace.findings:
        place = f"{shown(finding.place.path)}:{finding.place.line}"
        head = f"<code>{escape(place)}</code> <strong>{escape(finding.code)}</strong> {finding.severity}"
        yield f"{head} ({finding.evidence}): {escape(finding.message)}"


def _attention(trace: Trace, shown: Shown) -> Iterator[str]:
    for site in trace.attention:
        place = f"{shown(site.path)}:{site.line}:{site.column}"
        due = "" if site.ok is not False else f"; it should be {trace_text.power(site.required)}"
        kind = {True: "ok", False: "violates", None: "unknown"}[site.ok]
        head = (
            f"<code>{escape(place)}</code> {escape(site.op)} contracts {trace_text.power(site.contract_exponent)}"
        )
        yield f'{head}, <span class="{kind}">scaled by {trace_text.power(site.scale_exponent)}{due}</span>'


def _plots(trace: Trace) -> Iterator[str]:
    """All modules together; then one plot each, those beyond a limit first and open."""
    overview = trace_plot.overview(trace)
    if not overview:
        return
    yield "<h2>Coordinate check</h2>"
    yield "<p>Every line is a module; in μP no line rises faster than the limit as the width grows.</p>"
    yield page.figures(overview)
    suspect = {one.module for one in trace.activations if one.verdict != "ok"}
    panels = trace_plot.modules(trace)
    for title, state, names in (
        ("Modules beyond a limit, or too close to it", " open", [name for name in panels if name in suspect]),
        ("Modules within their limits", "", [name for name in panels if name not in suspect]),
    ):
        if names:
            yield f"<details{state}><summary>{title} ({len(names)})</summary>"
            yield page.figures(panels[name] for name in names)
            yield "</details>"
