"""Pictures of sounds and of runs."""
