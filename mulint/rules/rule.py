"""What every rule file declares, and how a finding is put together."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from mulint.findings import Finding, Place, Related, Severity
from mulint.program import Program
from mulint.program.values import Site


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: its code, its name, how much a departure matters, how it finds departures, its page.

    ``name`` completes the sentence "allow …" and names the pattern, not the remedy. ``page`` is the
    docstring of the rule's file. A rule that is no ``default`` runs only where it is asked for.
    """

    code: str
    name: str
    severity: Severity
    find: Callable[[Program], Iterator[Finding]]
    page: str
    default: bool = True

    @property
    def summary(self) -> str:
        """The first line of the page."""
        return self.page.strip().partition("\n")[0]


@dataclass(frozen=True, slots=True)
class Header:
    """The part of a rule that its own findings need."""

    code: str
    name: str
    severity: Severity = Severity.ERROR
    default: bool = True

    def finding(
        self,
        site: Site,
        *,
        subject: str,
        symbol: str,
        message: str,
        expected: str,
        found: str,
        related: Iterable[tuple[Site, str]] = (),
        severity: Severity | None = None,
    ) -> Finding:
        """A finding of this rule at a site; related places on the anchor's own line are left out."""
        line, column, end_line, end_column = site.ends
        judged = severity or self.severity
        places = dict.fromkeys(
            Related(other.path, other.line, what)
            for other, what in related
            if (other.path, other.line) != (site.path, line)
        )
        return Finding(
            code=self.code,
            name=self.name,
            severity=judged,
            severity_if_scaled=judged,
            place=Place(site.path, line, column, end_line, end_column),
            symbol=symbol,
            message=message,
            expected=expected,
            found=found,
            subject=subject,
            related=tuple(places),
        )


def subject(kind: str, site: Site) -> str:
    """The identity of a thing at fault: its kind and where it is built."""
    return f"{kind} {site.path}:{':'.join(map(str, site.ends))}"


def page_of(docstring: str | None) -> str:
    """A rule's page from the docstring of its file."""
    head, _, rest = (docstring or "").partition("\n")
    return f"{head}\n{textwrap.dedent(rest)}".strip() + "\n"
