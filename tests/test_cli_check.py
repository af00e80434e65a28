"""The command line as a user meets it: exit codes, selection, suppressions, bad input, what it does not load."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.repositories import FIXTURES, check, copy, mulint, sites

MODEL = """\
from torch import nn


class Net(nn.Module):
    def __init__(self, features, hidden, classes):
        super().__init__()
        self.first = nn.Linear(features, hidden)
        self.second = nn.Linear(hidden, hidden)
        self.head = nn.Linear(hidden, classes)

    def forward(self, x):
        return self.head(self.second(self.first(x).relu()).relu())
"""
HEAD = 9
TABLE = "[tool.mulint]\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project that asks for μP and has one fault, a plain readout."""
    (tmp_path / "pyproject.toml").write_text(TABLE)
    (tmp_path / "net.py").write_text(MODEL)
    return tmp_path


def test_findings_exit_1_when_asked_for_and_0_as_notes(project: Path) -> None:
    assert mulint("check", cwd=project).returncode == 1
    (project / "pyproject.toml").write_text("")
    result = mulint("check", cwd=project)
    assert result.returncode == 0
    assert "MU401 note" in result.stdout
    assert "add a [tool.mulint] table to pyproject.toml" in result.stdout
    assert mulint("check", "--fail-on", "note", cwd=project).returncode == 1


def test_fail_on_never(project: Path) -> None:
    assert mulint("check", "--fail-on", "never", cwd=project).returncode == 0


def test_the_text_shows_place_source_expected_and_found(project: Path) -> None:
    text = mulint("check", cwd=project).stdout
    assert "MU401 error: the readout head has no width multiplier" in text
    assert f"--> net.py:{HEAD}:21" in text
    assert f"{HEAD} |         self.head = nn.Linear(hidden, classes)\n" in text
    assert " | " + " " * 20 + "^" * len("nn.Linear(hidden, classes)") + "\n" in text
    assert "expected: multiplier ∝ 1/hidden on the readout" in text
    assert "found: no multiplier" in text
    assert "see: net.py:12 head is applied here" in text
    assert "Found 1 error: MU401." in text
    assert "Understood 1 module class, 6 parameters, 0 optimizers and 0 schedulers in 1 file." in text
    assert "\x1b" not in text


def test_concise(project: Path) -> None:
    result = mulint("check", "--output-format", "concise", cwd=project)
    expected = (
        f"net.py:{HEAD}:21: MU401 error: the readout head has no width multiplier: its updates grow with hidden\n"
    )
    assert result.stdout == expected


def test_statistics_and_quiet(project: Path) -> None:
    assert mulint("check", "--statistics", cwd=project).stdout == "1\tMU401\tunscaled-readout\n"
    assert "Understood" not in mulint("check", "--quiet", cwd=project).stdout


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (("--select", "MU1"), []),
        (("--select", "MU4"), ["MU401"]),
        (("--ignore", "MU401"), []),
        (("--select", "MU401", "--ignore", "MU4"), ["MU401"]),
        (("--select", "MU4", "--ignore", "MU4"), []),
        (("--select", "MU1", "--extend-select", "MU401"), ["MU401"]),
    ],
)
def test_the_longest_prefix_wins_and_a_tie_ignores(
    project: Path, arguments: tuple[str, ...], found: list[str]
) -> None:
    assert [f["code"] for f in check(project, *arguments)["findings"]] == found


def test_an_unknown_selector_is_an_error_with_a_remedy(project: Path) -> None:
    result = mulint("check", "--select", "MU4O9", cwd=project)
    assert result.returncode == 2
    assert "unknown rule selector 'MU4O9'; did you mean 'MU409'?" in result.stderr


@pytest.mark.parametrize(
    "line",
    [
        "self.head = nn.Linear(hidden, classes)  # mulint: ignore[MU401] measured, it is fine",
        "self.head = nn.Linear(hidden, classes)  # mulint: ignore[MU1, MU4] both prefixes",
        "# mulint: ignore[MU401] the next statement\n        self.head = nn.Linear(hidden, classes)",
    ],
)
def test_suppressions(project: Path, line: str) -> None:
    (project / "net.py").write_text(MODEL.replace("self.head = nn.Linear(hidden, classes)", line))
    codes = [f["code"] for f in check(project)["findings"]]
    assert codes == (["MU902"] if "MU1," in line else [])


def test_a_whole_file_is_suppressed_and_strings_are_no_comments(project: Path) -> None:
    (project / "net.py").write_text("# mulint: file-ignore[MU401] a baseline model\n" + MODEL)
    assert check(project)["findings"] == []
    (project / "net.py").write_text('TEXT = "# mulint: file-ignore[MU401]"\n' + MODEL)
    assert [f["code"] for f in check(project)["findings"]] == ["MU401"]


def test_an_unused_suppression_is_reported(project: Path) -> None:
    (project / "net.py").write_text(MODEL + "\n\nx = 1  # mulint: ignore[MU301] nothing here\n")
    findings = check(project)["findings"]
    assert [(f["code"], f["severity"]) for f in findings] == [("MU401", "error"), ("MU902", "warning")]


@pytest.mark.parametrize(
    ("comment", "message"),
    [
        ("# mulint: ignore", "not written as mulint reads it"),
        ("# mulint: ignore[]", "not written as mulint reads it"),
        ("# mulint: ignore MU401", "not written as mulint reads it"),
        ("# mulint: noqa", "not written as mulint reads it"),
        ("# type: ignore  # mulint: disable=MU401", "not written as mulint reads it"),
        ("# mulint: ignore[mu401]", "no code begins with mu401, so this silences nothing; did you mean 'MU401'?"),
        (
            "# mulint: ignore[unscaled-readout]",
            "no code begins with unscaled-readout, so this silences nothing; write MU401",
        ),
    ],
)
def test_a_comment_that_mulint_cannot_read_is_no_silent_pass(project: Path, comment: str, message: str) -> None:
    (project / "net.py").write_text(
        MODEL.replace("Linear(hidden, classes)", f"Linear(hidden, classes)  {comment}")
    )
    found = {f["code"]: f for f in check(project)["findings"]}
    assert set(found) == {"MU401", "MU902"}
    assert message in found["MU902"]["message"]
    assert "# mulint: ignore[" in found["MU902"]["expected"]


def test_per_file_ignores_and_exclude(project: Path) -> None:
    (project / "pyproject.toml").write_text(TABLE + 'per-file-ignores = { "n*.py" = ["MU4"] }\n')
    assert check(project)["findings"] == []
    (project / "pyproject.toml").write_text(TABLE + 'exclude = ["net.py"]\n')
    assert check(project)["understood"]["modules"] == 0


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ('selct = ["MU1"]', "unknown key 'selct' in [tool.mulint]; did you mean 'select'?"),
        ("widths = { sizes = [] }", "unknown key 'sizes' in [tool.mulint.widths]; use one of fixed, knobs"),
        ('weight-decay = "no"', "use one of constant-lr-wd, unscaled, sqrt, independent"),
        ('select = "MU1"', "select must be a list of strings"),
        ('per-file-ignores = { "a.py" = "MU4" }', "per-file-ignores of 'a.py' must be a list of strings"),
        ('fail-on = "note"', "unknown key 'fail-on' in [tool.mulint]; use one of baseline, embedding-lr, epsilon"),
        ('target = "jax"', 'use "torch" or "mup"'),
        ('select = ["MUX"]', "unknown rule selector 'MUX'"),
        ("select = [", "not valid TOML"),
    ],
)
def test_bad_configuration_exits_2_and_names_the_key(project: Path, table: str, message: str) -> None:
    (project / "pyproject.toml").write_text(TABLE + table + "\n")
    result = mulint("check", cwd=project)
    assert result.returncode == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_naming_one_file_agrees_with_the_whole_tree() -> None:
    whole = check(FIXTURES / "gpt")
    result = mulint("check", "train.py", "--output-format", "json", cwd=FIXTURES / "gpt")
    alone = json.loads(result.stdout)
    assert alone["findings"] == [f for f in whole["findings"] if f["path"] == "train.py"]
    assert len(alone["findings"]) == 1


def test_the_report_does_not_depend_on_where_it_is_run() -> None:
    result = mulint("check", "fixtures/gpt", "--output-format", "concise", cwd=FIXTURES.parent)
    assert "fixtures/gpt/model.py:" in result.stdout


def test_fingerprints_survive_moved_lines(project: Path) -> None:
    before = check(project)["findings"][0]
    (project / "net.py").write_text("# a comment\n\n" + MODEL)
    after = check(project)["findings"][0]
    assert after["line"] == before["line"] + 2
    assert after["fingerprint"] == before["fingerprint"]


# Bad input: one clear line with a remedy, the right exit code, and the other files still checked.


@pytest.mark.parametrize(
    ("content", "code", "message"),
    [
        (b"import torch\ndef f(:\n", "MU901", "cannot be parsed"),
        (b"import torch\nx = '\xff'\n", "MU904", "byte 0xff is not utf-8; save it as UTF-8"),
        (b"import torch\nx = 1\x00\n", "MU901", "remove the character"),
        (b"# -*- coding: nonsense -*-\nimport torch\n", "MU904", "fix the coding comment"),
        (b"import torch\nprint 'two'\n", "MU901", "cannot be parsed"),
        (b"import torch\nx = " + b"(" * 400 + b")" * 400 + b"\n", "MU901", "cannot be parsed"),
    ],
    ids=["syntax", "encoding", "nul", "cookie", "python2", "nesting"],
)
def test_one_bad_file_of_three(project: Path, content: bytes, code: str, message: str) -> None:
    (project / "bad.py").write_bytes(content)
    (project / "other.py").write_text("import torch\n")
    result = mulint("check", "--output-format", "json", cwd=project)
    report = json.loads(result.stdout)
    assert result.returncode == 2
    assert [e["code"] for e in report["errors"]] == [code]
    assert report["errors"][0]["path"] == "bad.py"
    assert message in report["errors"][0]["message"]
    assert [f["code"] for f in report["findings"]] == ["MU401"]
    assert "Traceback" not in result.stderr
    text = mulint("check", cwd=project).stdout
    assert text.count(f"bad.py:{report['errors'][0]['line']}: {code}") == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: text.replace("\n", "\r").encode(),
        lambda text: b"\xef\xbb\xbf" + text.encode(),
        lambda text: text.replace("\n\n\nclass", "\n\f\n\nclass").encode(),
        lambda text: ("# -*- coding: latin-1 -*-\n# é\n" + text).encode("latin-1"),
        lambda text: text.replace("    ", "\t").encode(),
    ],
    ids=["crlf", "cr", "bom", "form feed", "latin-1", "tabs"],
)
def test_unusual_but_valid_files_give_the_same_finding(project: Path, change: object) -> None:
    assert callable(change)
    (project / "net.py").write_bytes(change(MODEL))
    found = check(project)["findings"]
    assert [(f["code"], f["symbol"]) for f in found] == [("MU401", "Net.head")]
    line = found[0]["line"]
    text = (project / "net.py").read_bytes().decode("latin-1").replace("\r\n", "\n").replace("\r", "\n")
    assert "self.head" in text.split("\n")[line - 1]


@pytest.mark.parametrize(
    "line",
    ["'a b'.split('')", "'%c' % 0x110000", "range(10**30)", "range(0, 4, 0)", "'%d' % 'a'"],
)
def test_expressions_that_fail_when_they_run_are_no_failure_of_the_check(project: Path, line: str) -> None:
    (project / "odd.py").write_text(f"import torch\n\n\ndef f():\n    for x in {line}:\n        print(x)\n")
    report = check(project)
    assert report["errors"] == []
    assert [f["code"] for f in report["findings"]] == ["MU401"]


def test_a_missing_path(project: Path) -> None:
    result = mulint("check", "net.py", "nothing.py", cwd=project)
    assert result.returncode == 2
    assert "nothing.py:1: MU904 no such file or directory; check the path" in result.stdout
    assert "MU401" in result.stdout


def test_a_folder_without_python(tmp_path: Path) -> None:
    result = mulint("check", ".", cwd=tmp_path)
    assert result.returncode == 0
    assert result.stdout == "No Python files were found under the given paths.\n"


def test_code_without_torch_says_so(tmp_path: Path) -> None:
    (tmp_path / "web.py").write_text("def lr(warmup):\n    return warmup\n")
    result = mulint("check", ".", cwd=tmp_path)
    assert result.returncode == 0
    assert "None of 1 file mentions torch: there was nothing to check." in result.stdout


def test_torch_code_that_was_not_understood_is_no_silent_pass(tmp_path: Path) -> None:
    (tmp_path / "odd.py").write_text("import torch\nmodel = make()\n")
    assert "No parameter's size could be followed" in mulint("check", ".", cwd=tmp_path).stdout


def test_a_large_file_is_skipped_and_listed_unless_allowed(project: Path) -> None:
    (project / "big.py").write_text("import torch\n" + "x = 1\n" * 350_000)
    result = mulint("check", cwd=project)
    assert "big.py:1: MU904 skipped: 2.1 MB is over the limit of 1 MB; raise max-file-size" in result.stdout
    assert result.returncode == 1  # the finding in the other file
    (project / "pyproject.toml").write_text(TABLE + "max-file-size = 3000000\n")
    assert "skipped" not in mulint("check", cwd=project).stdout


def test_a_large_file_is_listed_only_where_it_was_asked_for(project: Path) -> None:
    (project / "big.py").write_text("import torch\n" + "x = 1\n" * 350_000)
    (project / "empty").mkdir()
    assert "big.py" not in mulint("check", "net.py", cwd=project).stdout
    assert mulint("check", "empty", cwd=project).stdout == "No Python files were found under the given paths.\n"
    assert "big.py:1: MU904 skipped" in mulint("check", "big.py", cwd=project).stdout


def test_a_symlink_loop_ends(project: Path) -> None:
    (project / "loop").symlink_to(project)
    assert [f["code"] for f in check(project)["findings"]] == ["MU401"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read everything")
def test_an_unreadable_file(project: Path) -> None:
    (project / "secret.py").write_text("import torch\n")
    (project / "secret.py").chmod(0)
    result = mulint("check", cwd=project)
    assert result.returncode == 2
    assert "secret.py:1: MU904 cannot be read: Permission denied" in result.stdout


def test_a_dangling_link_is_one_line(project: Path) -> None:
    (project / "gone.py").symlink_to(project / "nowhere.py")
    result = mulint("check", cwd=project)
    assert result.returncode == 2
    assert "gone.py:1: MU904 cannot be read: No such file or directory" in result.stdout


def test_a_closed_pipe_is_no_traceback(project: Path) -> None:
    command = f"{sys.executable} -m mulint rules --output-format json | head -c 1"
    result = subprocess.run(["bash", "-c", command], cwd=project, capture_output=True, text=True, check=False)
    assert "Traceback" not in result.stderr


def test_an_internal_error_names_the_file_and_the_others_go_on(project: Path) -> None:
    (project / "odd.py").write_text("import torch\nX = 1\n")
    program = (
        "import sys\n"
        "from mulint.program.library import python\n"
        "from mulint.program import entry, statements\n"
        "inner = statements.execute\n"
        "def broken(run, body, scope, frame):\n"
        "    if scope.path == 'odd.py': raise ValueError('boom')\n"
        "    return inner(run, body, scope, frame)\n"
        "statements.execute = broken\n"
        "from mulint.cli import main\n"
        "sys.argv = ['mulint', 'check', '.']\n"
        "main()\n"
    )
    command = [sys.executable, "-c", program]
    result = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "odd.py:1: MU905 internal error: ValueError: boom; please report it" in result.stdout
    assert "MU401" in result.stdout
    assert "Traceback" not in result.stdout + result.stderr


def test_check_loads_neither_torch_nor_libcst(project: Path) -> None:
    program = (
        "import sys\n"
        "from mulint.cli import group\n"
        "group.main(['check', '.'], standalone_mode=False) if False else None\n"
        "try:\n"
        "    group.main(['check', '.'])\n"
        "except SystemExit: pass\n"
        "print(sorted(m for m in ('torch', 'libcst', 'numpy', 'mup') if m in sys.modules))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=project, capture_output=True, text=True, check=True
    )
    assert result.stdout.splitlines()[-1] == "[]"


def test_check_runs_none_of_the_code_it_reads(project: Path) -> None:
    (project / "side.py").write_text("import torch\nopen('proof', 'w').write('ran')\nraise SystemExit(3)\n")
    check(project)
    assert not (project / "proof").exists()


def test_explain_and_rules(project: Path) -> None:
    page = mulint("explain", "MU405", cwd=project)
    assert page.returncode == 0
    assert page.stdout.startswith("# root-scale-with-growing-heads (MU405, error)")
    for part in ("What it does", "Why is this bad?", "Example", "Use instead", "Fix safety", "References"):
        assert f"## {part}" in page.stdout
    unknown = mulint("explain", "MU499", cwd=project)
    assert unknown.returncode == 2
    assert "no rule 'MU499'" in unknown.stderr
    for code, name in (("MU902", "unused-suppression"), ("mu901", "file-cannot-be-parsed")):
        assert mulint("explain", code, cwd=project).stdout.startswith(f"# {name} (")
    listed = json.loads(mulint("rules", "--output-format", "json", cwd=project).stdout)
    assert {f"MU90{n}" for n in range(1, 6)} <= {r["code"] for r in listed}
    assert [r["code"] for r in listed] == sorted(r["code"] for r in listed)
    assert mulint("explain", "unscaled-readout", cwd=project).returncode == 0


def test_wrong_usage_exits_2(project: Path) -> None:
    for arguments in (("check", "--fail-on", "maybe"), ("chek",), ("check", "--nope")):
        result = mulint(*arguments, cwd=project)
        assert result.returncode == 2, arguments
        assert result.stderr.count("\n") <= 2


def test_two_runs_print_the_same(tmp_path: Path) -> None:
    root = copy("gpt", tmp_path)
    assert mulint("check", cwd=root).stdout == mulint("check", cwd=root).stdout
    assert sites(check(root)) == sorted(sites(check(root)))


def read_from_stdin(text: str, cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mulint", "check", "-", "--output-format", "concise", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, input=text, timeout=60, check=False)


def test_standard_input_stands_for_the_file(project: Path) -> None:
    changed = "\n" + MODEL
    result = read_from_stdin(changed, project, "--stdin-filename", "net.py")
    assert result.returncode == 1
    assert result.stdout.startswith(f"net.py:{HEAD + 1}:21: MU401 error:")
    assert (project / "net.py").read_text() == MODEL


def test_standard_input_is_seen_with_the_rest_of_the_project(project: Path) -> None:
    """The script that is typed imports the model that lies on the disk."""
    script = "import torch\nfrom net import Net\n\nmodel = Net(8, 128, 4)\ntorch.optim.Adam(model.parameters())\n"
    result = read_from_stdin(script, project, "--stdin-filename", "train.py")
    assert result.stdout.startswith("train.py:5:1: MU101 error:")
    assert len(result.stdout.splitlines()) == 1


def test_standard_input_without_a_name(tmp_path: Path) -> None:
    result = read_from_stdin(MODEL, tmp_path)
    assert result.returncode == 0
    assert f":{HEAD}:21: MU401 note:" in result.stdout
    result = read_from_stdin("def f(:", tmp_path)
    assert result.returncode == 2


def test_show_files(project: Path) -> None:
    (project / "notes.txt").write_text("")
    (project / "sub").mkdir()
    (project / "sub" / "a.py").write_text("")
    assert mulint("check", "--show-files", cwd=project).stdout == "net.py\nsub/a.py\n"
    assert mulint("check", "--show-files", "--exclude", "sub", cwd=project).stdout == "net.py\n"
