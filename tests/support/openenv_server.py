"""A server of OpenEnv with a number to guess, which does what a word says: raise, hang, flood.

It prints its port. Its first word: how many sessions it has; its second, "unseeded": that each reset differs,
or "digits": that a guess is a whole number.
"""

import random
import socket
import sys
import time

import uvicorn
from openenv.core.env_server import create_fastapi_app
from openenv.core.env_server.interfaces import Environment
from openenv.core.env_server.types import Action, Observation, State

Kind = int if "digits" in sys.argv else str


class Guess(Action):
    guess: Kind


class Heard(Observation):
    text: str


class Numbers(Environment):
    SUPPORTS_CONCURRENT_SESSIONS = True

    def __init__(self):
        super().__init__()
        self.secret = 0

    def reset(self, seed=None, episode_id=None, **kwargs):
        drawn = random.Random(None if "unseeded" in sys.argv else seed)
        self.secret, top = drawn.randint(1, 8), drawn.randint(8, 10**6)
        return Heard(text=f"A number from 1 to 8? It is not {top}.")

    def step(self, action, timeout_s=None, **kwargs):
        if action.guess == "raise":
            raise ValueError("never")
        if action.guess == "hang":
            time.sleep(4242)
        if action.guess == "flood":
            return Heard(text="x" * (3 << 20))
        if str(action.guess) == str(self.secret):
            return Heard(text="yes", reward=1.0, done=True)
        return Heard(text="no", reward=0.1)

    @property
    def state(self):
        return State()


listening = socket.socket()
listening.bind(("127.0.0.1", 0))
listening.listen(64)
app = create_fastapi_app(Numbers, Guess, Heard, max_concurrent_envs=int(sys.argv[1]))
print(listening.getsockname()[1], flush=True)
uvicorn.Server(uvicorn.Config(app, log_level="critical")).run(sockets=[listening])
