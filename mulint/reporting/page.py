"""The frame of an HTML report: one file that needs nothing else, for light and dark, for a phone and for print."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from mulint.reporting import plots

# On a light and on a dark ground, beside the colours of the plots.
_COLOURS = {
    "ink": plots.INK,
    "ground": plots.GROUND,
    "soft": ("#59636e", "#9198a1"),
    "line": ("#d1d9e0", "#3d444d"),
    "card": ("#f6f8fa", "#151b23"),
    **{kind: plots.COLOURS[kind] for kind in ("ok", "violates", "unknown")},
}


def _variables(which: int) -> str:
    return ";".join(f"--{name}:{colours[which]}" for name, colours in _COLOURS.items())


_STYLE = (
    f":root{{color-scheme:light dark;{_variables(0)}}}\n"
    f"@media(prefers-color-scheme:dark){{:root{{{_variables(1)}}}}}"
    """
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--ground);max-width:76rem;margin:0 auto;
padding:1rem}
h1{font-size:1.3rem;overflow-wrap:anywhere}h2{font-size:1.1rem;margin-top:2rem}
code,td,th{font-variant-numeric:tabular-nums}code{font-size:.92em;overflow-wrap:anywhere}
.soft{color:var(--soft)}.ok{color:var(--ok)}.violates{color:var(--violates)}.unknown{color:var(--unknown)}
.verdict{border-left:.4rem solid;background:var(--card);padding:.6rem 1rem;font-weight:600}
.scroll{overflow-x:auto}table{border-collapse:collapse;font-size:.87rem;width:100%}
th,td{text-align:left;padding:.25rem .6rem;border-bottom:1px solid var(--line);vertical-align:top}
th button{all:unset;cursor:pointer;font-weight:600;white-space:nowrap}th button:focus-visible{outline:2px solid}
th[aria-sort=ascending] button::after{content:" ▲"}th[aria-sort=descending] button::after{content:" ▼"}
.plots{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,20rem),1fr));gap:1rem}
.plots svg{width:100%;height:auto;background:var(--card);border-radius:.4rem}
summary{cursor:pointer}li{overflow-wrap:anywhere}@media print{body{max-width:none}}
""" + plots.STYLE
)
_SORT = """
for (const table of document.querySelectorAll("table.sortable")) {
  table.querySelectorAll("th button").forEach((button, column) => button.addEventListener("click", () => {
    const head = button.parentElement, body = table.tBodies[0];
    const down = head.getAttribute("aria-sort") === "ascending";
    table.querySelectorAll("th").forEach(other => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const key = row => row.cells[column].dataset.key;
    const order = (a, b) => {
      const x = key(a), y = key(b), m = Number(x), n = Number(y);
      return x !== "" && y !== "" && !isNaN(m) && !isNaN(n) ? m - n : x.localeCompare(y);
    };
    [...body.rows].sort((a, b) => down ? order(b, a) : order(a, b)).forEach(row => body.append(row));
  }));
}
"""


def page(title: str, parts: Iterable[str]) -> str:
    """A whole page around its parts, which are HTML already."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(parts)
        + f"\n<script>{_SORT}</script>\n</body>\n</html>\n"
    )


def verdict(text: str, kind: str) -> str:
    """The verdict as a bar; ``kind`` is ok, violates or unknown."""
    return f'<p class="verdict {kind}">{escape(text)}</p>'


def listing(title: str, entries: Iterable[str]) -> str:
    """A section with a list; nothing when there are no entries. The entries are HTML already."""
    items = "".join(f"<li>{entry}</li>\n" for entry in entries)
    return f"<h2>{escape(title)}</h2>\n<ul>\n{items}</ul>" if items else ""


def table(header: Sequence[str], rows: Iterable[Sequence[tuple[str, str, str]]]) -> str:
    """A table that a click on its header sorts; a cell is its text, its key for sorting, and its class."""
    head = "".join(f'<th><button type="button">{escape(name)}</button></th>' for name in header)
    body = "\n".join(
        "<tr>"
        + "".join(
            f'<td data-key="{escape(key)}"' + (f' class="{kind}"' if kind else "") + f">{escape(text)}</td>"
            for text, key, kind in row
        )
        + "</tr>"
        for row in rows
    )
    return (
        f'<div class="scroll"><table class="sortable"><thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody></table></div>"
    )


def figures(panels: Iterable[plots.Panel]) -> str:
    """Plots side by side, as many as the page has room for."""
    return '<div class="plots">\n' + "\n".join(map(plots.inline, panels)) + "\n</div>"
