"""What generated tasks share: how answers are read and checked, numbers and polynomials written, solutions worked."""
