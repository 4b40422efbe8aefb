"""What generated tasks share: answers that are read, numbers and polynomials that are written, worked solutions."""
