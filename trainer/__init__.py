"""The trainer: models, sampler, losses, the loop, evaluation, the command line.
The only part that imports torch."""
