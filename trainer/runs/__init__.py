"""What steers and guards a run: preflight, the choice of problems, the ledger, tripwires, control arms."""
