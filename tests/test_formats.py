"""The formats for machines: valid by their own definitions, complete, with paths as the run sees them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import jsonschema
import junitparser
import pytest
from sarif_pydantic import Sarif

import mulint as package
from tests.repositories import FIXTURES, copy, mulint, sites
from tests.repositories import check as checked

BROKEN = "import torch\ndef f(:\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The plain GPT as a project that asks for μP, with one file that cannot be parsed."""
    root = copy("gpt", tmp_path)
    (root / "pyproject.toml").write_text("[tool.mulint]\n")
    (root / "broken.py").write_text(BROKEN)
    return root


def run(root: Path, name: str) -> str:
    result = mulint("check", "--output-format", name, cwd=root)
    assert result.returncode == 2, result.stderr
    assert result.stderr == ""
    return result.stdout


def test_sarif(root: Path) -> None:
    text = run(root, "sarif")
    Sarif.model_validate_json(text)
    (only,) = json.loads(text)["runs"]
    rules = {rule["id"] for rule in only["tool"]["driver"]["rules"]}
    for rule in only["tool"]["driver"]["rules"]:
        assert rule["help"]["markdown"] in mulint("explain", rule["id"], cwd=root).stdout
    assert {r["ruleId"] for r in only["results"]} == rules
    found = [
        (
            r["locations"][0]["physicalLocation"]["artifactLocation"]["uri"],
            r["locations"][0]["physicalLocation"]["region"]["startLine"],
            r["ruleId"],
        )
        for r in only["results"]
    ]
    assert sorted(found) == sorted(sites(checked(FIXTURES / "gpt")))
    assert {r["level"] for r in only["results"]} == {"error"}
    (notification,) = only["invocations"][0]["toolExecutionNotifications"]
    assert notification["descriptor"]["id"] == "MU901"
    assert only["invocations"][0]["executionSuccessful"] is False


def test_sarif_fingerprints_survive_moved_lines(root: Path) -> None:
    def marks() -> list[str]:
        results = json.loads(run(root, "sarif"))["runs"][0]["results"]
        return sorted(r["partialFingerprints"]["mulint/v1"] for r in results)

    before = marks()
    for path in root.glob("*.py"):
        path.write_text("\n\n# moved\n" + path.read_text())
    assert marks() == before
    assert len(set(before)) == len(before)


def test_github(root: Path) -> None:
    lines = run(root, "github").splitlines()
    assert lines[-1].startswith("::error title=mulint (MU901),file=broken.py,line=2::cannot be parsed: ")
    readout = next(line for line in lines if "MU409" in line)
    number = next(
        n for n, text in enumerate((root / "model.py").read_text().splitlines(), 1) if "lm_head =" in text
    )
    assert readout.startswith(f"::error title=mulint (MU409),file=model.py,line={number},col=24,endLine={number},")
    assert "%0Aexpected: multiplier ∝ 1/n_embd" in readout


def test_github_escapes_what_would_end_a_property(tmp_path: Path) -> None:
    root = copy("gpt", tmp_path)
    (root / "model.py").rename(root / "a,b%c.py")
    out = mulint("check", "--output-format", "github", cwd=root).stdout
    assert "file=a%2Cb%25c.py,line=" in out
    assert out.startswith("::notice title=mulint (MU")


def test_gitlab(root: Path) -> None:
    entries = json.loads(run(root, "gitlab"))
    assert {e["severity"] for e in entries} == {"major", "blocker"}
    readout = next(e for e in entries if e["check_name"] == "MU409")
    assert readout["description"].startswith("MU409: the readout lm_head")
    assert readout["location"]["path"] == "model.py"
    begin, end = (readout["location"]["positions"][k] for k in ("begin", "end"))
    assert (begin["column"], begin["line"]) == (24, end["line"])
    assert len({e["fingerprint"] for e in entries}) == len(entries)


def test_junit(root: Path) -> None:
    suites = junitparser.JUnitXml.fromstring(run(root, "junit").encode())
    by_name = {suite.name: suite for suite in suites}
    assert set(by_name) == {"broken.py", "model.py", "train.py"}
    assert by_name["broken.py"].errors == 1
    expected = [f for f in checked(FIXTURES / "gpt")["findings"] if f["path"] == "model.py"]
    assert by_name["model.py"].failures == len(expected) == by_name["model.py"].tests


def test_junit_of_a_clean_project_passes() -> None:
    out = mulint("check", "--output-format", "junit", cwd=FIXTURES / "gpt_mup").stdout
    (suite,) = junitparser.JUnitXml.fromstring(out.encode())
    assert (suite.tests, suite.failures) == (1, 0)


@pytest.mark.parametrize("name", ["sarif", "github", "gitlab", "junit", "concise"])
def test_paths_are_those_of_the_run(root: Path, name: str) -> None:
    result = mulint("check", root.name, "--output-format", name, cwd=root.parent)
    assert f"{root.name}/model.py" in result.stdout


def test_a_report_goes_into_a_file(root: Path) -> None:
    result = mulint("check", "--output-format", "json", "--output-file", "report.json", cwd=root)
    assert (result.returncode, result.stdout) == (2, "")
    schema = Path(package.__file__).parent / "reporting" / "schemas" / "check.schema.json"
    jsonschema.validate(json.loads((root / "report.json").read_text()), json.loads(schema.read_text()))
    result = mulint("check", "-o", "missing/report.txt", cwd=root)
    assert result.returncode == 2
    assert "choose a folder that exists" in result.stderr
    (root / "link.txt").symlink_to("linked.txt")
    mulint("check", "-o", "link.txt", cwd=root)
    assert (root / "link.txt").is_symlink()
    assert (root / "linked.txt").is_file()
    before = Path(os.devnull).stat().st_mode
    assert mulint("check", "-o", os.devnull, cwd=root).returncode == 2
    assert Path(os.devnull).stat().st_mode == before
    text = mulint("check", "-o", "report.txt", cwd=root)
    assert text.stdout == ""
    assert "Found 6 errors" in (root / "report.txt").read_text()
