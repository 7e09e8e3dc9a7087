"""hydra/launcher=subprocess."""
