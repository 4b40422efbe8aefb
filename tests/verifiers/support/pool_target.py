"""What the pool's tests run in its workers."""

import os
import time


def work(request):
    kind, *rest = request
    match kind:
        case "pid":
            return os.getpid()
        case "echo":
            return rest[0]
        case "hang":
            while True:
                pass
        case "sleep":
            time.sleep(rest[0])
            return rest[1]
        case "until":
            while not os.path.exists(rest[0]):
                time.sleep(0.001)
            return "there"
        case "raise":
            raise ValueError("no such luck")
        case "memory":
            return len("x" * (1 << 30))
        case "exit":
            os._exit(3)
        case "unserialisable":
            return {1, 2}
    raise AssertionError(kind)
