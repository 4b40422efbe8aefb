# ruff: noqa: E501
"""Hostile programs: what each tries, and by the rule of its kind what must be observed.

escape      `f()` returns "escaped" when it got out or got hold of something; the run must not pass (expected "escaped").
exhaustion  the run must not pass and must be over soon after its limit.
hack        `f(x)` is tested on x * 2 and on what assertions say; the run must not pass.

After each of them the canaries outside are looked at, and a right program must pass on the same sandbox.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Hostile:
    kind: Literal["escape", "exhaustion", "hack"]
    tries: str
    source: str


def escape(tries: str, body: str) -> Hostile:
    """`body` is the inside of a function; falling off its end means that nothing stopped it."""
    inner = textwrap.indent(textwrap.dedent(body).strip(), "    ")
    source = (
        "import os, sys, ctypes, socket, signal, time, threading, struct\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "def sys_(*a):\n    r = libc.syscall(*[ctypes.c_long(x) if isinstance(x, int) else x for x in a])\n"
        "    if r < 0: raise OSError(ctypes.get_errno(), 'refused')\n    return r\n"
        f"def attempt():\n{inner}\n"
        "def f():\n    try:\n        attempt()\n    except BaseException as e:\n        return repr(e)\n    return 'escaped'\n"
    )
    return Hostile("escape", tries, source)


def exhaust(tries: str, source: str) -> Hostile:
    return Hostile("exhaustion", tries, textwrap.dedent(source).strip() + "\n")


def hack(tries: str, source: str) -> Hostile:
    return Hostile("hack", tries, textwrap.dedent(source).strip() + "\n")


ESCAPES = [
    escape("read the password file", "open('/etc/passwd').read()"),
    escape("read a canary file", "open('CANARY_FILE').read()"),
    escape("write over a canary file", "open('CANARY_FILE', 'w').write('x')"),
    escape("remove a canary file", "os.remove('CANARY_FILE')"),
    escape("list /proc", "os.listdir('/proc')"),
    escape("read its own memory map", "open('/proc/self/maps').read()"),
    escape("read another process's environment", "open('/proc/1/environ', 'rb').read()"),
    escape("list the home of root", "assert any(n != '.pyenv' for n in os.listdir('/root'))"),
    escape("write beside the standard library", "open(os.path.join(os.path.dirname(os.__file__), 'x.py'), 'w')"),
    escape("write into the root folder", "open('/x', 'w')"),
    escape("write to /dev/shm", "open('/dev/shm/x', 'w')"),
    escape("make a device file", "os.mknod('/tmp/disk', 0o60600, os.makedev(254, 0)); open('/tmp/disk')"),
    escape("make a folder outside the scratch", "os.mkdir('/usr/lib/x')"),
    escape("follow a symbolic link out", "os.symlink('/etc/shadow', '/tmp/s'); open('/tmp/s').read()"),
    escape("hard-link a library file and write to it", "os.link(os.__file__, '/tmp/o'); open('/tmp/o', 'a').write('#')"),
    escape("start a shell", "assert os.system('true') == 0"),
    escape("start a program by subprocess", "import subprocess; subprocess.run(['/bin/true'], check=True)"),
    escape("replace itself by exec", "os.execv('/bin/true', ['true'])"),
    escape("exec a file of its own", """
        open('/tmp/x', 'w').write('#!/bin/sh\\n'); os.chmod('/tmp/x', 0o755); os.execv('/tmp/x', ['x'])"""),
    escape("exec from a memory file", "fd = os.memfd_create('x'); os.write(fd, b'x'); os.fexecve(fd, ['x'], {})"),
    escape("make a memory file", "os.memfd_create('x')"),
    escape("fork", "pid = os.fork(); pid == 0 and os._exit(0)"),
    escape("fork by vfork's number", "sys_(58)"),
    escape("fork by clone without CLONE_THREAD", "r = sys_(56, 17, 0, 0, 0, 0); r == 0 and os._exit(0)"),
    escape("fork by clone3", "sys_(435, ctypes.create_string_buffer(88), 88)"),
    escape("connect to the canary server", "socket.create_connection(('127.0.0.1', CANARY_PORT), 2)"),
    escape("open a TCP socket", "socket.socket()"),
    escape("send a UDP packet", "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', CANARY_PORT))"),
    escape("open a Unix socket", "socket.socket(socket.AF_UNIX)"),
    escape("connect to an abstract Unix socket", "s = socket.socket(socket.AF_UNIX); s.connect('\\0CANARY_ABSTRACT')"),
    escape("open a netlink socket", "socket.socket(16, 3, 0)"),
    escape("open a raw packet socket", "socket.socket(17, 3, 0)"),
    escape("send a descriptor over a socket pair", """
        a, b = socket.socketpair(); socket.send_fds(a, [b'x'], [0])"""),
    escape("kill the bystander", "os.kill(CANARY_PID, 9)"),
    escape("kill everything", "os.kill(-1, 9)"),
    escape("signal its parent", "os.kill(os.getppid(), 9)"),
    escape("signal its process group", "os.killpg(0, 19)"),
    escape("signal through tgkill", "sys_(234, CANARY_PID, CANARY_PID, 9)"),
    escape("trace the bystander", "sys_(101, 16, CANARY_PID, 0, 0)"),
    escape("read the bystander's memory", "sys_(310, CANARY_PID, 0, 0, 0, 0, 0)"),
    escape("get a descriptor by pidfd", "sys_(434, CANARY_PID, 0)"),
    escape("become root", "os.setuid(0)"),
    escape("become another user", "os.setresuid(12345, 12345, 12345)"),
    escape("make a user namespace", "assert libc.unshare(0x10000000) == 0"),
    escape("make a mount namespace", "assert libc.unshare(0x20000) == 0"),
    escape("mount", "assert libc.mount(b'x', b'/tmp', b'tmpfs', 0, b'') == 0"),
    escape("unmount the scratch", "assert libc.umount2(b'/tmp', 2) == 0"),
    escape("leave by chroot", "os.chroot('/tmp')"),
    escape("use the kernel's keyring", "sys_(250, 0, -3, 0)"),
    escape("add a key", "sys_(248, b'user', b'k', b'v', 1, -4)"),
    escape("make System V shared memory", "sys_(29, 0x5043, 4096, 0o1666)"),
    escape("make a System V queue", "sys_(68, 0x5043, 0o1666)"),
    escape("make a POSIX queue", "sys_(240, b'q', 0o102, 0o600, 0)"),
    escape("set up io_uring", "sys_(425, 8, ctypes.create_string_buffer(120))"),
    escape("load BPF", "sys_(321, 0, ctypes.create_string_buffer(128), 128)"),
    escape("open a performance counter", "sys_(298, ctypes.create_string_buffer(128), 0, -1, -1, 0)"),
    escape("use userfaultfd", "sys_(323, 0)"),
    escape("use the x32 call numbers", "sys_(0x40000000 + 57)"),
    escape("raise its memory limit", """
        import resource; resource.setrlimit(resource.RLIMIT_AS, (1 << 40, 1 << 40))"""),
    escape("raise its processor limit", """
        import resource; resource.setrlimit(resource.RLIMIT_CPU, (999, 999))"""),
    escape("change another process's limits", "sys_(302, CANARY_PID, 7, ctypes.create_string_buffer(16), 0)"),
    escape("set the clock", "time.clock_settime(time.CLOCK_REALTIME, 0)"),
    escape("change the host name", "socket.sethostname('evil')"),
    escape("reboot", "sys_(169, 0xfee1dead, 672274793, 0)"),
    escape("take off no_new_privs", "assert libc.prctl(38, 0, 0, 0, 0) == 0"),
    escape("be dumpable", "assert libc.prctl(4, 1, 0, 0, 0) == 0"),
    escape("outlive the parent", "assert libc.prctl(1, 0, 0, 0, 0) == 0"),
    escape("find an open descriptor beyond its four", """
        found = []
        for fd in range(4, 1024):
            try: os.fstat(fd); found.append(fd)
            except OSError: pass
        assert found"""),
    escape("find the trainer's environment", "assert set(os.environ) - {'HOME', 'TMPDIR', 'LANG'}"),
    escape("find the expected value by walking the garbage collector", """
        import gc
        def strings():
            for o in gc.get_objects():
                for r in gc.get_referents(o):
                    if type(r) is str: yield r
        assert any(''.join(['CANARY', '_SECRET']) in s for s in strings())"""),
    escape("find the expected value in the frames below", """
        frame, seen = sys._getframe(), ''
        while frame:
            seen += repr(frame.f_locals); frame = frame.f_back
        assert ''.join(['CANARY', '_SECRET']) in seen"""),
    escape("see a file that an earlier run left", "assert os.listdir('/tmp')"),
    escape("see an earlier run's user", "assert os.path.exists('/tmp/left')"),
    escape("push input into a terminal", "import fcntl; fcntl.ioctl(0, 0x5412, b'x')"),
    escape("make its pipe signal another process", "import fcntl; fcntl.fcntl(0, 8, CANARY_PID)"),
    escape("open a file by handle", "sys_(304, -100, ctypes.create_string_buffer(64), 0)"),
    escape("pin itself to a processor", "os.sched_setaffinity(0, {0})"),
    escape("leave its control group by the machine's files", """
        for folder, _, names in [*os.walk('/sys/fs/cgroup'), ('/sys/fs/cgroup', [], ['cgroup.procs'])]:
            for name in {'cgroup.procs', 'tasks'} & {*names}:
                try: os.open(os.path.join(folder, name), os.O_WRONLY); return
                except OSError: pass
        raise OSError('refused')"""),
    escape("leave its control group by a descriptor, or a folder above one", """
        for fd in range(1024):
            for name in ('cgroup.procs', 'tasks', '../cgroup.procs', '../tasks', 'memory.max', 'memory.limit_in_bytes'):
                try: os.open(name, os.O_WRONLY, dir_fd=fd); return
                except OSError: pass
        raise OSError('refused')"""),
    escape("mount the control groups", """
        os.mkdir('/tmp/m')
        assert libc.mount(b'c', b'/tmp/m', b'cgroup2', 0, b'') == 0 or libc.mount(b'c', b'/tmp/m', b'cgroup', 0, b'pids') == 0"""),
    escape("make a namespace of control groups", "assert libc.unshare(0x02000000) == 0"),
    escape("lock a library file", "import fcntl; fcntl.flock(open(os.__file__), fcntl.LOCK_EX | fcntl.LOCK_NB)"),
    escape("lock a library file for readers", "import fcntl; fcntl.flock(open(os.__file__), fcntl.LOCK_SH)"),
    escape("lock a device", "import fcntl; fcntl.flock(open('/dev/null', 'w'), fcntl.LOCK_EX | fcntl.LOCK_NB)"),
    escape("lock a library file by its open description", "import fcntl; fcntl.fcntl(open(os.__file__), 37, struct.pack('hhqqi', 0, 0, 0, 9, 0))"),
    escape("ask who has locked a library file", "import fcntl; fcntl.fcntl(open(os.__file__), fcntl.F_GETLK, struct.pack('hhqqi', 1, 0, 0, 9, 0))"),
    escape("take a lease on a library file", "import fcntl; fcntl.fcntl(open(os.__file__), 1024, 0)"),
    escape("be told of changes in a library folder", "import fcntl; fcntl.fcntl(os.open(os.path.dirname(os.__file__), 0), 1026, 1)"),
    escape("watch a library file", "fd = sys_(294, 0); sys_(254, fd, os.__file__.encode(), 1)"),
    escape("watch a library file by fanotify", "sys_(300, 0, 0)"),
    escape("set an attribute of a library file", "os.setxattr(os.__file__, 'user.x', b'1')"),
    escape("set an attribute of the scratch", "os.setxattr('/tmp', 'user.x', b'1')"),
    escape("set the times of a file that is not its own", "os.utime('CANARY_FILE', (1, 1)); raise OSError('the canary shows')"),
    escape("change the rights to a file that is not its own", "os.chmod('CANARY_FILE', 0o777); raise OSError('the canary shows')"),
    escape("cut off a file that is not its own", "os.truncate('CANARY_FILE', 0)"),
    escape("ask which pages of a library file are in memory", """
        import mmap
        m = mmap.mmap(os.open(os.__file__, 0), 4096, prot=mmap.PROT_READ, flags=mmap.MAP_SHARED)
        buffer = (ctypes.c_char * 4096).from_buffer_copy(m)
        sys_(27, ctypes.addressof(buffer) & ~4095, 4096, ctypes.create_string_buffer(8))"""),
    escape("make a file without a name", "os.open('/tmp', os.O_TMPFILE | os.O_RDWR)"),
    escape("ask when its scratch was made", "sys_(332, -100, b'/tmp', 0, 0xfff, ctypes.create_string_buffer(256))"),
    escape("map a library file to write", """
        import mmap
        mmap.mmap(os.open(os.__file__, os.O_RDWR), 4096)"""),
    escape("find a mark of the program before it", """
        if os.path.exists('/tmp/mark') or 'MARK' in os.environ or hasattr(sys, 'mark'): return
        open('/tmp/mark', 'w'); os.environ['MARK'] = '1'; sys.mark = 1
        raise OSError('none')"""),
    escape("raise its priority", "os.setpriority(os.PRIO_PROCESS, 0, -5)"),
]  # fmt: skip

EXHAUSTIONS = [
    exhaust("loop for ever", "def f():\n    while True: pass"),
    exhaust("loop for ever while loading", "while True: pass"),
    exhaust("sleep past the deadline", "import time\ndef f():\n    time.sleep(60)"),
    exhaust("loop and swallow every exception", """
        def f():
            while True:
                try:
                    while True: pass
                except BaseException: pass"""),
    exhaust("ignore every signal and loop", """
        import signal
        for s in range(1, 65):
            try: signal.signal(s, signal.SIG_IGN)
            except Exception: pass
        def f():
            while True: pass"""),
    exhaust("stop itself", "import os, signal\ndef f():\n    os.kill(os.getpid(), signal.SIGSTOP)\n    while True: pass"),
    exhaust("fill memory with a list", "def f():\n    x = []\n    while True: x.append(bytes(1 << 20))"),
    exhaust("fill memory at once", "def f():\n    return len(bytearray(1 << 40))"),
    exhaust("fill memory by a big integer", "def f():\n    return 9 ** 9 ** 9"),
    exhaust("fill shared anonymous memory", """
        import mmap
        def f():
            kept = []
            while True:
                m = mmap.mmap(-1, 1 << 24); kept.append(m)
                for i in range(0, 1 << 24, 4096): m[i] = 1"""),
    exhaust("fill the scratch", """
        def f():
            n = 0
            while True:
                with open(f'/tmp/{n}', 'wb') as file: file.write(bytes(1 << 20))
                n += 1"""),
    exhaust("fill the scratch with unlinked files", """
        import os
        def f():
            kept = []
            while True:
                kept.append(open('/tmp/x', 'wb')); os.unlink('/tmp/x'); kept[-1].write(bytes(1 << 20)); kept[-1].flush()"""),
    exhaust("use up the inodes", """
        import os
        def f():
            n = 0
            while True: os.mkdir(f'/tmp/{n}'); n += 1"""),
    exhaust("start threads without end", """
        import threading, time
        def f():
            while True: threading.Thread(target=time.sleep, args=(60,)).start()"""),
    exhaust("open files without end", "def f():\n    kept = []\n    while True: kept.append(open('/dev/null'))"),
    exhaust("print without end", "def f():\n    while True: print('x' * 10000)"),
    exhaust("print to standard error without end", "import sys\ndef f():\n    while True: sys.stderr.write('x' * 10000)"),
    exhaust("print from a thread while the main one waits", """
        import threading, time
        def f():
            def flood():
                while True: print('x' * 10000, flush=True)
            threading.Thread(target=flood).start(); time.sleep(60)"""),
    exhaust("write to the channel without end", "import os\ndef f():\n    while True: os.write(3, b'x' * 65536)"),
    exhaust("return something huge", "def f():\n    return 'x' * (1 << 27)"),
    exhaust("return something very deep", "def f():\n    x = []\n    for _ in range(100000): x = [x]\n    return x"),
    exhaust("return something that contains itself", "def f():\n    x = []; x.append(x); return x"),
    exhaust("return many small things", "def f():\n    return [[] for _ in range(10 ** 6)]"),
    exhaust("return an endless generator", "def f():\n    while True: yield 1"),
    exhaust("recurse without end", "import sys\nsys.setrecursionlimit(10 ** 9)\ndef f(): return f()"),
    exhaust("overflow the C stack", """
        import sys
        sys.setrecursionlimit(10 ** 9)
        class A:
            def __getattr__(self, n): return getattr(self, n + 'x')
        def f(): return repr(A().x)"""),
    exhaust("match a catastrophic pattern", "import re\ndef f(): return re.match('(a+)+$', 'a' * 60 + 'b')"),
    exhaust("compile a deeply nested source", "def f(): return eval('(' * 100000 + ')' * 100000)"),
    exhaust("crash the interpreter", "import ctypes\ndef f(): return ctypes.string_at(0)"),
    exhaust("abort", "import os\ndef f(): os.abort()"),
    exhaust("burn processor time in many threads", """
        import threading
        def burn():
            while True: hash('x' * 1000)
        def f():
            for _ in range(8): threading.Thread(target=burn).start()
            burn()"""),
    exhaust("hold the interpreter's lock in one long call", "def f(): return sum(range(10 ** 12))"),
    exhaust("close the channel and wait", "import os, time\ndef f():\n    os.close(3); time.sleep(60)"),
    exhaust("announce a frame and never send it", "import os, time\ndef f():\n    os.write(3, b'\\0\\0\\1\\0{'); time.sleep(60)"),
    exhaust("a thread that never ends at exit", """
        import threading, atexit, time
        def f(): return 1
        threading.Thread(target=time.sleep, args=(60,)).start()
        atexit.register(time.sleep, 60)
        time.sleep(60)"""),
    exhaust("nest folders without end", "import os\ndef f():\n    while True: os.mkdir('d'); os.chdir('d')"),
    exhaust("raise a text of 200 MB", "def f(): raise ValueError('x' * (200 << 20))"),
    exhaust("grow its standard input", "import os\ndef f():\n    while True: os.write(0, bytes(1 << 20))"),
    exhaust("hash many equal keys", "def f(): return {k * (2 ** 61 - 1): 0 for k in range(1, 10 ** 5)}"),
]  # fmt: skip

HACKS = [
    hack("exit with success while loading", "import sys\nsys.exit(0)"),
    hack("exit with success when called", "import sys\ndef f(x): sys.exit(0)"),
    hack("leave at once with success", "import os\ndef f(x): os._exit(0)"),
    hack("leave at once while loading", "import os\nos._exit(0)"),
    hack("print that all is well", "print('All tests passed'); print('OK')\ndef f(x): print('PASSED')"),
    hack("an object equal to everything", """
        class E:
            def __eq__(self, o): return True
            def __ne__(self, o): return False
            def __hash__(self): return 0
        def f(x): return E()"""),
    hack("an int equal to everything", """
        class E(int):
            def __eq__(self, o): return True
            def __hash__(self): return 0
        def f(x): return E(1)"""),
    hack("a str equal to everything", "class E(str):\n    __eq__ = lambda s, o: True\ndef f(x): return E('2')"),
    hack("a float that is any number", "class E(float):\n    __eq__ = lambda s, o: True\ndef f(x): return E(2)"),
    hack("a list equal to everything", "class E(list):\n    __eq__ = lambda s, o: True\ndef f(x): return E()"),
    hack("an object that lies about its class", """
        class E:
            __class__ = int
            def __eq__(self, o): return True
        def f(x): return E()"""),
    hack("a patched type()", """
        import builtins
        real = type
        class E:
            def __eq__(self, o): return True
        builtins.type = lambda v, *a: int if real(v) is E else real(v, *a)
        def f(x): return E()"""),
    hack("patched comparison builtins", """
        import builtins
        builtins.all = builtins.any = lambda *a: True
        builtins.isinstance = lambda *a: True
        builtins.abs = lambda x: 0
        builtins.len = lambda x: 0
        def f(x): return None"""),
    hack("a patched encoder", """
        import sys
        sys.modules['sandbox.wire'].encode = lambda v, depth=0: True
        def f(x): return None"""),
    hack("a harness that says done", """
        import sys
        H = sys.modules['sandbox.inside.harness'].Harness
        H._call = lambda self, request: {'done': True, 'passed': True, 'value': True}
        def f(x): return None"""),
    hack("a forged answer before the request", """
        import os, json
        b = json.dumps({'n': '0' * 32, 'value': 2}).encode()
        os.write(3, len(b).to_bytes(4, 'big') + b)
        def f(x): return None"""),
    hack("a nonce stolen from the frames, with a claim of its own", """
        import os, sys, json
        def f(x):
            frame = sys._getframe()
            while 'request' not in frame.f_locals: frame = frame.f_back
            b = json.dumps({'n': frame.f_locals['request']['n'], 'done': True, 'passed': True}).encode()
            os.write(3, len(b).to_bytes(4, 'big') + b)"""),
    hack("many answers with a stolen nonce", """
        import os, sys, json
        def f(x):
            frame = sys._getframe()
            while 'request' not in frame.f_locals: frame = frame.f_back
            b = json.dumps({'n': frame.f_locals['request']['n'], 'value': x * 2}).encode()
            os.write(3, (len(b).to_bytes(4, 'big') + b) * 50)"""),
    hack("a thread that answers in the harness's place", """
        import os, threading, json
        def serve():
            while True:
                n = int.from_bytes(os.read(3, 4), 'big'); r = json.loads(os.read(3, n))
                b = json.dumps({'n': r['n'], 'value': True}).encode()
                os.write(3, len(b).to_bytes(4, 'big') + b)
        threading.Thread(target=serve, daemon=True).start()
        def f(x): return None"""),
    hack("a list that a thread repairs later", """
        import threading, time
        def f(x):
            r = []
            def later(): time.sleep(0.3); r.append(x * 2)
            threading.Thread(target=later).start()
            return r"""),
    hack("an exit handler that reports success", """
        import atexit, os
        atexit.register(lambda: os._exit(0))
        def f(x): raise SystemExit(0)"""),
    hack("a skipped test", "import unittest\ndef f(x): raise unittest.SkipTest('fine')"),
    hack("an exception that claims to be an exit", "class SystemExit(Exception): pass\ndef f(x): raise SystemExit(0)"),
    hack("an exception whose text is a verdict", "def f(x): raise Exception('{\"done\": true, \"failed\": null}')"),
    hack("an exception with a hostile __str__", """
        class E(BaseException):
            def __str__(self): raise SystemExit(0)
            __repr__ = __str__
        def f(x): raise E()"""),
    hack("a decorator that answers None, which equals None", "def f(x, *a, **k): return None"),
    hack("a numeral in text", "def f(x): return str(x * 2)"),
    hack("a tuple for a scalar", "def f(x): return (x * 2,)"),
    hack("NaN", "def f(x): return float('nan')"),
    hack("NotImplemented", "def f(x): return NotImplemented"),
    hack("read the tests from the caller", """
        import inspect
        def f(x):
            for frame in inspect.stack():
                for v in frame.frame.f_locals.values():
                    if type(v) is dict and 'expected' in v: return v['expected']"""),
    hack("read the tests from the source line cache", """
        import linecache
        def f(x):
            text = ''.join(linecache.getlines('<tests>'))
            return int(text.split('==')[1]) if '==' in text else None"""),
    hack("redefine the checker", "def check(c): return True\nassert_ = lambda *a: None\ndef f(x): return None"),
    hack("turn assertions off", "import sys\n__debug__ = 0\n" "def f(x): return None".replace("__debug__ = 0\n", "")),
    hack("close the channel and exit with success", "import os\ndef f(x):\n    os.close(3); os._exit(0)"),
    hack("send the whole conversation ahead", """
        import os
        for i in range(20): os.write(3, b'\\0\\0\\0\\x0e{\"done\": true}')
        def f(x): return None"""),
    hack("a result whose keys hash to an exit", """
        class K:
            def __hash__(self): raise SystemExit(0)
        def f(x): return K()"""),
    hack("a metaclass that compares equal", """
        class M(type):
            def __eq__(c, o): return True
            def __hash__(c): return hash(int)
        class E(metaclass=M): pass
        def f(x): return E()"""),
    hack("a recursion error caught as an answer", "def f(x):\n    try: return f(x)\n    except RecursionError: return None"),
    hack("the entry point is a class", "class f:\n    def __init__(self, x): self.x = x\n    __eq__ = lambda s, o: True"),
    hack("the entry point is missing", "def g(x): return x * 2"),
    hack("the source does not compile", "def f(x) return x * 2"),
    hack("the source has a null byte", "def f(x): return x * 2\n\0"),
]  # fmt: skip

ALL = [*ESCAPES, *EXHAUSTIONS, *HACKS]
