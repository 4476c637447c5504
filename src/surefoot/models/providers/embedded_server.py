"""The program of the child process: llama.cpp's server on the loopback interface, for one parent.

Run as a file, and importing nothing of surefoot, so that it starts in half a second. Its settings come as one
JSON line on standard input (not as arguments: the key would show in the list of processes), its
address goes out as one JSON line on standard output. It ends when its standard input ends, which
the operating system sees to even if the parent is killed.
"""

import importlib
import json
import os
import signal
import sys
import threading
import time
from typing import Any, NoReturn

NO_PARENT = 3


def main() -> NoReturn:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which drains first
    settings = json.loads(sys.stdin.readline())
    threading.Thread(target=_watch_input, daemon=True).start()
    threading.Thread(target=_watch_parent, args=(os.getppid(),), daemon=True).start()

    xllamacpp: Any = importlib.import_module("xllamacpp")  # now that the watchers are up
    parameters = _parameters(xllamacpp, settings)
    try:
        server = xllamacpp.Server(parameters)
    except RuntimeError as error:
        _say({"error": str(error)[:300]})
        os._exit(1)
    probe = xllamacpp.json_schema_to_grammar({"type": "object"})
    _say({"url": server.listening_address, "llguidance": probe.startswith("%llguidance")})
    threading.Event().wait()
    raise AssertionError("unreachable")


def _parameters(xllamacpp: Any, settings: dict[str, Any]) -> Any:
    parameters = xllamacpp.CommonParams()
    parameters.model.path = settings["path"]
    parameters.model_alias = {settings["alias"]}
    if settings["adapter"]:
        adapter = xllamacpp.CommonAdapterLoraInfo()
        adapter.path, adapter.scale = settings["adapter"], 1.0
        parameters.lora_adapters = [adapter]
    parameters.n_ctx = settings["context"]
    parameters.n_parallel = 1
    parameters.cpuparams.n_threads = settings["threads"]
    parameters.cpuparams_batch.n_threads = settings["threads"]
    parameters.n_gpu_layers = 0
    # Nobody but the parent: a key of its own, a free port of loopback, no browser's page, no other endpoint.
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = 0
    parameters.api_keys = [settings["key"]]
    parameters.cors_origins = ""
    parameters.cors_credentials = False
    parameters.ui = False
    parameters.endpoint_slots = False
    parameters.endpoint_props = False
    parameters.endpoint_metrics = False
    # A request is given up only between two batches: 128 tokens are under a second, 2,048 (the default) 12.
    parameters.n_batch = 128
    parameters.n_ubatch = 128
    # The same question gets the same answer: a prompt that was read in part from a cache is summed in another
    # order, and a greedy choice between two near tokens then depends on what was asked before.
    parameters.cache_prompt = False
    # Memory: the default keeps up to 8 GB of old prompts.
    parameters.cache_ram_mib = 0
    parameters.n_ctx_checkpoints = 0
    parameters.n_threads_http = 4
    parameters.fit_params = False
    parameters.warmup = False
    parameters.offline = True
    parameters.verbosity = 1  # errors only: a prompt must not get into a log
    return parameters


def _say(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def _watch_input() -> None:
    while sys.stdin.readline():
        pass
    os._exit(0)


def _watch_parent(parent: int) -> None:
    # A process that the parent forked may hold the other end of our input open after the parent's death.
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(NO_PARENT)


if __name__ == "__main__":
    main()
