"""Training sets made of what a model sampled and a rubric passed."""
