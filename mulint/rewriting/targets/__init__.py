"""What rewritten code is written for."""
