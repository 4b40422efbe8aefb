"""Text becomes one typed value: normalised, cut into tokens, parsed, resolved.

It asks `deciding` where a value has to be known for a text to be read: which end of an interval comes first,
whether two clauses state one and the same thing. `deciding` never imports this folder.
"""
