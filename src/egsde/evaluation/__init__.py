"""How good images are: metrics, likelihood, reports."""
