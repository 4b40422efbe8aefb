"""An MCP server by hand, over stdin and stdout, that can break the protocol in the ways that servers do.

Its first word says how it starts: "well", "dies", "garbage" (in place of the list of tools), "strange" (a
schema that is none). Its second is a file that gets the process ids of what it starts.
"""

import json
import os
import subprocess
import sys
import time

kept: list[str] = []
TEXT = {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]}
NAMES = ("keep", "refuse", "die", "hang", "flood", "garbage", "shape", "bad.name")


def answer(method: str, params: dict, how: str) -> dict:
    if method == "initialize":
        told = {"name": "by hand", "version": "1"}
        return {
            "protocolVersion": params["protocolVersion"], "capabilities": {"tools": {}}, "serverInfo": told,
        }  # fmt: skip
    if method == "tools/list":
        schema = {"type": "object", "properties": {"word": {"anyOf": [3]}}} if how == "strange" else TEXT
        tools = [{"name": name, "inputSchema": schema} for name in NAMES]
        tools[NAMES.index("shape")]["outputSchema"] = TEXT
        return {"tools": tools}
    return call(params["name"], params["arguments"]["word"]) if method == "tools/call" else {}


def call(name: str, word: str) -> dict:
    kept.append(word)
    if name == "die":
        os._exit(3)
    if name == "hang":
        child = subprocess.Popen(["sleep", "4242"], start_new_session=True)
        with open(sys.argv[2], "a") as file:
            file.write(f"{os.getpid()} {child.pid} ")
        time.sleep(4242)
    if name == "garbage":
        return {"content": "none of the protocol's"}
    if name == "shape":
        return {"content": [], "structuredContent": {"word": 7}}
    text = "x" * (9 << 20) if name == "flood" else " ".join(kept)
    return {"content": [{"type": "text", "text": text}], "isError": name == "refuse"}


def main() -> None:
    how = sys.argv[1]
    if how == "dies":
        sys.exit("no key was given")
    for line in sys.stdin:
        asked = json.loads(line)
        if "id" not in asked:
            continue
        result = answer(asked["method"], asked.get("params", {}), how)
        if how == "garbage" and asked["method"] == "tools/list":
            result = {"tools": "many"}
        print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": result}), flush=True)


main()
