"""A server that speaks as vLLM's does, on a socket file, around a small model; it can be told to go wrong.

What it says of weights by handles and of sleep is in `fake_card`.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import torch
from palaestra.trainer.engines.drawing import filter_logits
from palaestra.trainer.engines.vllm.wire import Wire
from safetensors.torch import load_file

from .fake_card import Handles, Refused, Sleep

Answer = Callable[["Handler"], None]


class FakeVLLM(socketserver.ThreadingUnixStreamServer):
    """model: a copy of it is served.

    The rest is how it goes wrong. change_weights: what it makes of weights that it is given; None: it keeps
    its own.  keeps_cache: what it computed of prompts is never forgotten.  change: of what it answers to a
    path.  answer: in place of an answer.  handles: weights by handles; None: it takes none.  sleep: it can.
    """

    daemon_threads, block_on_close, request_queue_size = True, False, 64

    def __init__(self, path: Path, model: Any) -> None:
        super().__init__(str(path), Handler)
        self.model = copy.deepcopy(model).eval()
        self.version, self.keeps_cache = "default", False
        self.change_weights: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor] | None] = dict
        self.change: dict[str, Callable[[Any], Any]] = {}
        self.answer: dict[str, Answer] = {}
        self.asked: list[str] = []
        self.cache: dict[tuple[int, ...], torch.Tensor] = {}
        self.lock, self.connections = threading.Lock(), 0
        self.handles: Handles | None = None
        self.sleep = Sleep(self.model)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections += 1
        super().process_request(request, client_address)

    @torch.no_grad()
    def compute_logits(self, ids: list[int], cached: bool = False) -> torch.Tensor:
        """Of each position; cached: of the last one, as it was when this prompt was first read."""
        with self.lock:
            if cached and tuple(ids) in self.cache:
                return self.cache[tuple(ids)]
            logits_TV = self.model(input_ids=torch.tensor([ids]), use_cache=False).logits[0].float()
            return self.cache.setdefault(tuple(ids), logits_TV[-1:]) if cached else logits_TV

    def complete(self, body: dict[str, Any]) -> dict[str, Any]:
        prompt = body["prompt"]
        choice: dict[str, Any] = {"index": 0, "finish_reason": "length", "prompt_token_ids": prompt}
        if "prompt_logprobs" in body:
            logprobs_TV = self.compute_logits(prompt).log_softmax(-1)
            pairs = enumerate(prompt[1:])
            choice["prompt_logprobs"] = [
                None, *({str(token): {"logprob": float(logprobs_TV[place, token])}} for place, token in pairs)
            ]  # fmt: skip
        generator = torch.Generator().manual_seed(body["seed"] % 2**62)
        ids: list[int] = []
        logprobs: list[float] = []
        named: dict[str, float] = {}
        while len(ids) < body["max_tokens"]:
            logits_RV = self.compute_logits([*prompt, *ids], cached=not ids)[-1:] / (body["temperature"] or 1)
            if body["temperature"]:
                top_k = max(0, body.get("top_k", -1))
                logits_RV = filter_logits(logits_RV, top_k, body.get("top_p", 1.0), body.get("min_p", 0.0))
            logprobs_V = logits_RV.log_softmax(-1)[0]
            drawn = torch.multinomial(logprobs_V.exp(), 1, generator=generator)
            token = int(drawn if body["temperature"] else logprobs_V.argmax())
            named = {
                f"token_id:{other}": float(logprobs_V[other]) for other in body.get("logprob_token_ids", [])
            }
            ids.append(token)
            logprobs.append(float(logprobs_V[token]))
            if token in body.get("stop_token_ids", []):
                choice["finish_reason"] = "stop"
                break
        choice |= {"token_ids": ids, "logprobs": {"token_logprobs": logprobs, "top_logprobs": [named]}}
        return {"choices": [choice]}

    def reload(self, folder: str) -> None:
        state = {}
        for path in sorted(Path(folder).glob("*.safetensors")):
            state |= load_file(path)
        self.take(state)

    def take(self, state: dict[str, torch.Tensor]) -> None:
        self.sleep.check("weights")
        changed = self.change_weights(state)
        if changed is not None:
            self.model.load_state_dict(changed, strict=False)

    def sum_up(self) -> dict[str, str]:
        return {
            f"dp0:tp0:{name}": hashlib.sha256(pad(name, tensor).numpy().tobytes()).hexdigest()
            for name, tensor in self.model.state_dict().items()
        }

    def respond(self, path: str, body: dict[str, Any]) -> Any:
        self.asked.append(path)
        if path.startswith(("/sleep", "/wake_up")):
            return self.sleep.respond(path)
        if path.endswith(("weight_transfer_engine", "weight_update", "/update_weights")):
            if self.handles is None:
                raise Refused("Weight transfer not configured.")
            return self.handles.respond(path, body, self.take)
        if path == "/v1/completions":
            self.sleep.wait()
            return self.complete(body)
        if path == "/weight_checker":
            self.sleep.check("weights")
        if path == "/collective_rpc":
            assert body["method"] == "reload_weights"
            return self.reload(body["kwargs"]["weights_path"])
        if path == "/reset_prefix_cache" and not self.keeps_cache:
            self.cache.clear()
        if path == "/update_weight_version":
            self.version = body["new_version"]
        return {
            "/reset_prefix_cache": {"success": True},
            "/weight_info": {"weight_version": self.version},
            "/v1/models": {"data": [{"id": "small", "max_model_len": 512}]},
            "/version": {"version": "0.0"},
            "/get_world_size": {"world_size": 1},
            "/weight_checker": {"checksums": self.sum_up()} if path == "/weight_checker" else None,
        }.get(path)


def pad(name: str, tensor: torch.Tensor) -> torch.Tensor:
    """Tables of tokens have a multiple of 64 rows there."""
    if not name.endswith(("embed_tokens.weight", "lm_head.weight")):
        return tensor
    return torch.cat([tensor, tensor.new_zeros(-len(tensor) % 64, tensor.shape[1])])


class Handler(BaseHTTPRequestHandler):
    server: FakeVLLM
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = json.loads(self.rfile.read(length) or b"{}")
        if self.path in self.server.answer:
            self.close_connection = True
            with contextlib.suppress(OSError):
                self.server.answer[self.path](self)
            return
        try:
            reply = self.server.respond(self.path, body)
        except Refused as refused:
            with contextlib.suppress(OSError):
                self.send(500, str(refused).encode())
            return
        reply = self.server.change.get(self.path, lambda same: same)(reply)
        with contextlib.suppress(OSError):  # whoever asked may have hung up
            self.send(200, b"" if reply is None else json.dumps(reply).encode())

    do_GET = do_POST

    def send(self, status: int, text: bytes, length: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text) if length is None else length))
        self.end_headers()
        self.wfile.write(text)

    def address_string(self) -> str:
        return "a socket file"

    def log_message(self, *_words: object) -> None:
        """Nothing."""


@contextlib.contextmanager
def serve(folder: Path, model: Any, timeout: float = 60.0) -> Iterator[tuple[FakeVLLM, Wire]]:
    """The server, and a wire to it. timeout: of the wire, in seconds."""
    path = folder / "s"
    server = FakeVLLM(path, model)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    wire = Wire(f"unix:{path}", timeout)
    try:
        yield server, wire
    finally:
        wire.hang_up()
        server.shutdown()
        server.server_close()
        thread.join()
        path.unlink()
