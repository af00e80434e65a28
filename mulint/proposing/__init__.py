"""What a project needs to start with mulint: found without running it, and written into its configuration."""

from mulint.proposing.found import Found, Setting, models, optimizers
from mulint.proposing.written import CASES, case_file, name_of, table

__all__ = ["CASES", "Found", "Setting", "case_file", "models", "name_of", "optimizers", "table"]
