"""Plain PyTorch in the gauge of Table 8, with one generated file beside the model."""
