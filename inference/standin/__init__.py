"""The stand-in: a tiny LLaMA trained from nothing, so that a laptop runs the same engine as the GPUs."""
