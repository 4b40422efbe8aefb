"""Criteria, one file a kind: numbers, forms, programs, literals, learned rewards;
`answer` is what most of them share."""
