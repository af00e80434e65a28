"""``python -m mulint``."""

from mulint.cli import main

main()
