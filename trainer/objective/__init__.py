"""What is optimised, as pure functions over named tensors: advantages, losses, KL, GAE, preferences."""
