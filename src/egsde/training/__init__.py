"""Training of scores and classifiers."""
