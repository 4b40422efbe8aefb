"""One hash for every seed and every split: the same on any machine and in any process."""

import hashlib

TEST_SHARE = 10  # one key in ten belongs to the test split


def digest(*parts: object) -> int:
    """A 64-bit hash of its arguments that is the same on every machine and in every process."""
    return int.from_bytes(hashlib.sha256("/".join(map(str, parts)).encode()).digest()[:8], "big")


def split_of(name: str, key: str) -> str:
    """The split of a procedural problem, decided by its key alone: so the splits share no problem."""
    return "test" if digest("split", name, key) % TEST_SHARE == 0 else "train"
