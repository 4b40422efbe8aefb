"""Folders that survive a kill: checkpoints, run folders, interrupts."""
