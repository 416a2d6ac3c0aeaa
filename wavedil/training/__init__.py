"""Training: settings, one compiled step, the loop around it, and what it leaves in a run folder."""
