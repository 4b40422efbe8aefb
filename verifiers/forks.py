"""A lock that forks wait for: what it guards is never caught half done in a child,
and the child finds it free.

It guards first imports as well: Python's lock on a module that another thread
was importing would stay taken in a child.
"""

from __future__ import annotations

import os

# threading's own, without the import of threading, which is most of a start's time here
from _thread import RLock

NO_FORK = RLock()
os.register_at_fork(before=NO_FORK.acquire, after_in_parent=NO_FORK.release, after_in_child=NO_FORK.release)
