# ruff: noqa: E501
"""Whatever a program does to its own process is its own failure, in every way of running it, and harms no later one."""

import pytest
from palaestra.sandbox import Call, Status

SEND = "import os\ndef send(b): os.write(3, len(b).to_bytes(4, 'big') + b)\n"
TRICKS = {
    "kill itself": "import os\nos.kill(os.getpid(), 9)\nwhile True: pass",
    "stop itself": "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)\nwhile True: pass",
    "an alarm": "import signal\nsignal.setitimer(signal.ITIMER_REAL, 0.01)\nwhile True: pass",
    "a signal of real time": "import signal\nsignal.raise_signal(40)\nwhile True: pass",
    "trace itself": "import ctypes\nctypes.CDLL(None).ptrace(0, 0, 0, 0)\nwhile True: pass",
    "a jump to nowhere": "import ctypes\nctypes.CFUNCTYPE(None)(8)()",
    "close every descriptor": "import os\nos.closerange(0, 1024)",
    "close the channel": "import os\nos.close(3)",
    "close the outputs": "import os\nos.close(1); os.close(2)\nraise ValueError",
    "another file for the channel": "import os\nos.dup2(os.open('/dev/zero', 2), 3)",
    "the channel for the outputs": "import os\nos.dup2(3, 1); print('x' * 100, flush=True)",
    "end of file on the channel": "import os\nos.dup2(os.open('/dev/null', 2), 3)",
    "use up the descriptors": "import os\nkept = []\nwhile True: kept.append(os.open('/dev/null', 0))",
    "limits of nothing": "import resource\nfor r in (resource.RLIMIT_NOFILE, resource.RLIMIT_FSIZE, resource.RLIMIT_NPROC, resource.RLIMIT_STACK, resource.RLIMIT_AS): resource.setrlimit(r, (0, 0))\nx = bytes(10 ** 7)",
    "no time": "import resource\nresource.setrlimit(resource.RLIMIT_CPU, (1, 1))\nwhile True: pass",
    "fill the scratch": "n = 0\nwhile True:\n    open(f'/tmp/{n}', 'wb').write(bytes(1 << 20)); n += 1",
    "shut the scratch": "import os\nos.chmod('/tmp', 0); raise ValueError",
    "memory": "x = []\nwhile True: x.append(bytes(1 << 20))",
    "memory kept in an exception": "kept = []\ntry:\n    while True: kept.append(bytes(1 << 16))\nexcept MemoryError: raise",
    "no answer": "import time\ntime.sleep(9)",
    "a frame of 4 GiB": "import os\nos.write(3, b'\\xff' * 4)",
    "half a frame": "import os\nos.write(3, b'\\0\\0\\0\\x09{'); os._exit(0)",
    "an empty frame": f"{SEND}send(b'')",
    "a number": f"{SEND}send(b'1')",
    "a list": f"{SEND}send(b'[]')",
    "deep brackets": f"{SEND}send(b'[' * 200_000)",
    "a long number": f"{SEND}send(b'{{\"n\":' + b'9' * 200_000 + b'}}')",
    "no text": f"{SEND}send(bytes(range(256)))",
    "a surrogate": f'{SEND}send(b\'{{"raised": ["\\\\ud800", "\\\\ud800"]}}\')',
    "an exception of surrogates": "raise type('E\\ud800', (Exception,), {})('\\ud800\\x1b[2J\\0')",
    "a text of 100 MB": "raise ValueError('x' * 100_000_000)",
    "an exception that can't be shown": "class E(BaseException):\n    def __str__(self): raise E\n    __repr__ = args = __str__\nraise E",
    "a class that can't be asked": "class M(type):\n    __name__ = property(lambda c: 1 / 0)\n    def mro(c): return type.mro(c)\n    def __getattribute__(c, n): raise KeyboardInterrupt\nclass E(Exception, metaclass=M): pass\nraise E",
    "patched builtins": "import builtins\nfor n in dir(builtins):\n    if n[0] != '_': setattr(builtins, n, None)",
    "patched harness": "import sys\nh = sys.modules['sandbox.inside.harness']\nfor n in list(vars(h)): setattr(h, n, None)",
    "no modules": "import sys\nsys.modules.clear()\nraise ValueError",
    "a stolen nonce with odd fields": "import sys, os, json\nf = sys._getframe()\nwhile 'request' not in f.f_locals: f = f.f_back\nb = json.dumps({'n': f.f_locals['request']['n'], 'exit': 10 ** 50, 'raised': ['a', 'b'], 'exception': {'name': 1}, 'value': ['d', 3], 'test': -1, 'failed': None, 'call': 1}).encode()\nos.write(3, len(b).to_bytes(4, 'big') + b)",
}


@pytest.mark.parametrize("source", TRICKS.values(), ids=TRICKS)
def test_what_a_program_does_to_itself_is_its_own_failure(pool, source):
    lines = "\n".join(f"    {line}" for line in source.splitlines())
    called = f"def f(x):\n{lines}\n    return object()\n"
    test = "try:\n    f(1)\nexcept ZeroDivisionError:\n    pass\nelse:\n    assert f(2) == 4"
    for outcome in (
        pool.run_tests(called, "f", [Call((1,), expected=2), Call((2,), expected=4)]),
        pool.run_tests(f"{source}\ndef f(x): return 0", "f", [Call((1,), expected=2)]),
        pool.run_suite(called, ["f"], [test]),
        pool.run_suite(f"{source}\n{called}", ["f"], [test], weak=True),
        pool.run_script(source, "1\n", "2\n"),
    ):
        assert outcome.status is not Status.ERROR, outcome
        assert not outcome.passed, outcome
        assert outcome.reason == outcome.reason.encode().decode()
        assert outcome.reason.isprintable() or set(outcome.reason) & {"\n", "\t"}
    assert pool.run_tests("def f(x): return 2 * x", "f", [Call((1,), expected=2)]).passed


def test_what_a_program_did_is_said_in_clean_text_of_bounded_length(pool):
    for text in ("'\\ud800 \\x1b[31mred\\x07 \\u202e left'", "'\\ud800' * 10**6", "'a\\r\\nb\\x9b'"):
        outcome = pool.run_tests(f"def f(): raise ValueError({text})", "f", [Call()])
        for reason in (outcome.reason, outcome.results[0].reason):
            assert reason.encode()
            assert "ValueError" in reason
            assert len(reason) <= 1000
            assert not set(reason) & set("\x1b\x07\u202e\r\x9b\ud800")


def test_an_exception_of_a_script_ends_it_with_its_message_as_an_interpreter_would(pool):
    for leaving, code, said in (
        ("exit('bad')", 1, "bad"),
        ("exit(3)", 3, ""),
        ("exit(True)", 1, ""),
        ("exit(2**40)", 255, ""),
    ):
        outcome = pool.run_script(f"print(1)\n{leaving}", "", "1")
        assert (outcome.exit_code, outcome.stderr.strip()) == (code, said)
        assert not outcome.passed
