"""What fits of a loss to examples share: the loop of steps, and the run around it.
SFT and reward models are two of them."""
