"""Tasks of other packages, through our types: each is found by PACKAGE:NAME, as `reasoning_gym:chain_sum`."""
