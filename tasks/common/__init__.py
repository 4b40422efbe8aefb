"""What generated tasks share: how answers are read, numbers and polynomials written, solutions worked."""
