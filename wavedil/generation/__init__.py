"""Drawing sound from a model, sample by sample."""
