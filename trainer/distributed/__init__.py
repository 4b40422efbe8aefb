"""A run in several processes: who is who, what they tell each other, and how a hang ends."""
