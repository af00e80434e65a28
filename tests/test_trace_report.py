"""The HTML report and the plots of a trace."""

from __future__ import annotations

import dataclasses
import json
import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner

import mulint as package
from mulint.cli import group
from mulint.reporting import plots, plots_png, trace_html, trace_plot, trace_text
from mulint.reporting.plots import Axis, Line, Panel
from mulint.traces import ActivationTrace, Multiplier, ParameterTrace, Trace

SCHEMA = Path(package.__file__).parent / "reporting" / "schemas" / "trace.schema.json"
SVG = "{http://www.w3.org/2000/svg}"
CASE = """
import torch
from torch import nn
import mulint


class Net(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.up = nn.Linear(8, width)
        self.packed = nn.Linear(width, width + 16)
        self.body = nn.Linear(width, width)
        self.head = nn.Linear(width, 4)

    def forward(self, x):
        x = torch.relu(self.up(x))
        wide, gates = self.packed(x).split([x.shape[-1], 16], dim=-1)
        return self.head(torch.relu(self.body(torch.relu(wide))) * gates.mean(-1, keepdim=True))


def case(width):
    batch = torch.randn(16, 8), torch.randint(4, (16,))
    loss = lambda model, batch: nn.functional.cross_entropy(model(batch[0]), batch[1])
    return mulint.Case(Net(width), batch, loss, optimizer=lambda m: torch.optim.Adam(m.parameters(), lr=1e-3))
"""


@dataclass(frozen=True)
class Reports:
    """What one trace of a model in standard parametrization wrote."""

    data: dict[str, Any]
    html: str
    svg: ET.Element


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Reports:
    folder = tmp_path_factory.mktemp("report")
    (folder / "pyproject.toml").touch()
    (folder / "cases.py").write_text(CASE, encoding="utf-8")
    html, svg = folder / "report.html", folder / "plots.svg"
    arguments = ["trace", f"{folder}/cases.py:case", "--widths", "32,64,128", "--output-format", "json"]
    result = CliRunner().invoke(group, [*arguments, "--html", str(html), "--plot", str(svg)])
    assert result.exit_code == 1, result.output
    return Reports(json.loads(result.stdout), html.read_text(encoding="utf-8"), ET.parse(svg).getroot())


class Page(HTMLParser):
    """Tags that are open, cells of tables, and everything that would be loaded."""

    VOID = ("meta", "link", "br", "img", "circle", "line", "path", "rect", "polyline")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.rows: list[list[str]] = []
        self.loaded: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loaded += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "td" in self.open or "th" in self.open:
            self.rows[-1][-1] += data


def test_the_page_is_whole_and_loads_nothing(reports: Reports) -> None:
    page = Page(reports.html)
    assert page.open == []
    assert page.loaded == []
    assert "@import" not in reports.html
    assert "http" not in reports.html
    assert 'name="viewport"' in reports.html
    assert "prefers-color-scheme:dark" in reports.html


def test_the_page_has_every_parameter_with_its_numbers(reports: Reports) -> None:
    header, *rows = (row for row in Page(reports.html).rows if len(row) == len(trace_text.HEADER))
    assert header[0] == "parameter"
    by_name = {row[0]: dict(zip(header, row, strict=True)) for row in rows}
    assert set(by_name) == {p["name"] for p in reports.data["parameters"]}
    assert by_name["body.weight"]["learning rate"] == "0 (want -1) !"
    assert by_name["body.weight"]["role"] == "hidden"
    assert by_name["body.weight"]["fan-in"] == "32 ~ w"


def test_rows_of_several_roles_say_what_each_asks_for(reports: Reports) -> None:
    (packed,) = (p for p in reports.data["parameters"] if p["name"] == "packed.weight")
    assert packed["role"] == "mixed"
    assert packed["rows"] == [
        {"start": 0, "end": 32, "role": "hidden", "init": -0.5, "lr": -1},
        {"start": 32, "end": 48, "role": "output", "init": -1, "lr": -1},
    ]
    known = {field.name for field in dataclasses.fields(Trace)} - {"findings"}
    trace = Trace.from_wire({name: value for name, value in reports.data.items() if name in known})
    text = trace_text.render(trace, str).splitlines()
    rows = [" ".join(line.split()) for line in text if line.startswith("  rows")]
    assert rows == ["rows 0:32 hidden want -1/2 want -1", "rows 32:48 output want -1 want -1"]
    role = "mixed; 0:32 hidden (init want -1/2, learning rate want -1)"
    assert any(cell.startswith(role) for row in Page(reports.html).rows for cell in row)


def test_the_page_names_culprits_and_limits(reports: Reports) -> None:
    assert reports.data["culprits"]
    faults = {(culprit["code"], culprit["what"]) for culprit in reports.data["culprits"]}
    for code, what in faults:
        assert reports.html.count(f"<strong>{code}</strong> {what}<ul>") == 1
    for culprit in reports.data["culprits"]:
        assert f"cases.py:{culprit['line']}</code> <code>" in reports.html
    for text in reports.data["cannot_see"]:
        assert text.replace("'", "&#x27;") in reports.html
    assert f"limit as written: {reports.data['limit']}" in reports.html


def test_the_page_says_of_every_layer_where_its_change_comes_from(reports: Reports) -> None:
    assert reports.data["contributions"]
    rows = [(row[0], Path(row[1]).name, *row[2:]) for row in Page(reports.html).rows]
    for one in reports.data["contributions"]:
        part = ("initial " if one["part"] == "initial" else "updates of ") + one["of"]
        place = f"{Path(one['path']).name}:{one['line']}"
        assert (one["module"], place, part, f"{one['slope']:+.2f}", one["tends"]) in rows
    assert reports.html.index("Culprits") < reports.html.index("Where changes come from")


def test_every_module_has_a_plot_with_its_fitted_slope(reports: Reports) -> None:
    for one in reports.data["activations"]:
        assert f'aria-label="{one["module"]}"' in reports.html
        assert f"{one['quantity']}: slope {one['slope']:+.2f} (limit {one['threshold']:+.2f})" in reports.html


def test_points_are_in_the_json(reports: Reports) -> None:
    jsonschema.validate(reports.data, json.loads(SCHEMA.read_text(encoding="utf-8")))
    for one in reports.data["activations"]:
        assert {width for width, _ in one["points"]} == {32, 64, 128}
    (head,) = [a for a in reports.data["activations"] if (a["module"], a["quantity"]) == ("head", "change")]
    by_width = sorted(head["points"])
    assert by_width[-1][1] > 2 * by_width[0][1], "the change of a readout in standard parametrization grows"


def test_the_svg_has_a_panel_for_every_statistic_and_a_line_for_every_module(reports: Reports) -> None:
    quantities = dict.fromkeys(a["quantity"] for a in reports.data["activations"])
    titles = [e.text for e in reports.svg.iter(f"{SVG}text") if e.get("class") == "title"]
    assert titles == [trace_plot.QUANTITIES[quantity] for quantity in quantities]
    limits = {(a["quantity"], a["threshold"]) for a in reports.data["activations"]}
    assert len(list(reports.svg.iter(f"{SVG}polyline"))) == len(reports.data["activations"]) + len(limits)


def test_no_coordinates_lie_outside_the_drawing(reports: Reports) -> None:
    for line in reports.svg.iter(f"{SVG}polyline"):
        for place in (line.get("points") or "").split():
            x, y = map(float, place.split(","))
            assert plots.LEFT <= x <= plots.PANEL_WIDTH - plots.RIGHT
            assert plots.TOP <= y <= plots.PANEL_HEIGHT - plots.BOTTOM


def small(points: tuple[tuple[float, float | None], ...], name: str = "body") -> Trace:
    row = ActivationTrace(name, "model.py", 3, "init", 0, 0.0, None, 0.25, "ok", points)
    return Trace("model.py:Net", (32, 64, 128), {"width": 32.0}, {}, "cpu", "float32", (), (), activations=(row,))


@pytest.mark.parametrize("points", [((32.0, None), (64.0, None)), ((32.0, 0.0), (64.0, 0.0)), ((32.0, 1.0),)])
def test_values_that_no_plot_can_show_do_not_break_it(points: tuple[tuple[float, float | None], ...]) -> None:
    trace = small(points)
    ET.fromstring(plots.document(trace_plot.overview(trace)))
    assert Page(trace_html.render(trace, str)).open == []


def test_names_are_escaped() -> None:
    trace = small(((32.0, 1.0), (64.0, 1.0), (128.0, 1.0)), name="<b>&")
    parameter = ParameterTrace('"><script>', (), ((3,),), "vector", (None,), None, (), (), (), Multiplier(None))
    html = trace_html.render(dataclasses.replace(trace, parameters=(parameter,)), str)
    assert html.count("<script>") == 1
    assert "<b>" not in html
    ET.fromstring(plots.document(trace_plot.overview(trace)))


def test_a_png_has_the_same_panels() -> None:
    pytest.importorskip("matplotlib")
    line = Line(((32.0, 1.0), (64.0, 2.0)), "ok", "body", marked=True)
    panel = Panel("Size", Axis("width", log=True, ticks=(32.0, 64.0)), Axis("rms", log=True), (line,))
    one, three = plots_png.document([panel]), plots_png.document([panel] * 3)
    assert one.startswith(b"\x89PNG\r\n")
    assert three.startswith(b"\x89PNG\r\n")
    assert int.from_bytes(three[16:20], "big") == 2 * int.from_bytes(one[16:20], "big")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--plot", "plot.pdf"], "name a file that ends in .svg or .png"),
        (["--plot", "plot.png"], "png needs matplotlib: pip install matplotlib, or name a .svg file"),
        (["--plot", "missing/plot.svg"], "choose a file in a folder that exists"),
        (["--html", "missing/report.html"], "choose a file in a folder that exists"),
        (["--plot", "plot.svg", "--stages", "roles"], "add coordinates to --stages"),
    ],
)
def test_files_are_refused_before_the_trace_is_run(
    arguments: list[str], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plots_png, "is_installed", lambda: False)
    (tmp_path / "cases.py").write_text("open('ran', 'w').close()\n" + CASE, encoding="utf-8")
    result = CliRunner().invoke(group, ["trace", "cases.py:case", *arguments])
    assert result.exit_code == 2
    assert expected in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(("low", "high"), [(1.0, 1.001), (3.0, 3.0), (1e-9, 1e9), (0.9, 1.2)])
@pytest.mark.parametrize("log", [True, False])
def test_every_axis_has_a_few_ticks(low: float, high: float, *, log: bool) -> None:
    panel = Panel("", Axis("x", log=True), Axis("y", log=log), (Line(((1.0, low), (2.0, high)), "ok"),))
    ticks = re.findall(r'text-anchor="end">([^<]+)<', plots.inline(panel))
    assert 2 <= len(ticks) <= plots.MOST_TICKS + 2
    assert len(set(ticks)) == len(ticks)
