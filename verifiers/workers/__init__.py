"""A pool of processes that a parent kills at a deadline, and the server that forks them."""
