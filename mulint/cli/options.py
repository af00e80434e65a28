"""Values of options that several commands take."""

from __future__ import annotations

from mulint.cli import CannotRun


def pair(flag: str, text: str) -> tuple[str, str]:
    """``NAME=VALUE`` in two parts."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip() or not value.strip():
        raise CannotRun(f"{flag} {text}: write NAME=VALUE")
    return name.strip(), value.strip()


def base_width(text: str | None) -> dict[str, float]:
    """``N`` or ``NAME=N,NAME=N`` as sizes by name; a plain number is called ``width``."""
    if not text:
        return {}
    base = {}
    for part in text.split(","):
        name, value = pair("--base-width", part) if "=" in part else ("width", part)
        try:
            base[name] = float(value)
        except ValueError:
            raise CannotRun(f"--base-width {text}: write a number, or NAME=NUMBER") from None
    return base


def codes(text: str | None) -> tuple[str, ...]:
    """Codes or prefixes separated by commas."""
    return tuple(code.strip() for code in (text or "").split(",") if code.strip())
