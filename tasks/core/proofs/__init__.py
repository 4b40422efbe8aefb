"""What a task's verifier does to completions of a known kind: proofs, a card, a search for cheats."""
