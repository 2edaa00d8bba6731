"""The part that peers written in Python share: requests in, answers out.

A request is a line of words on standard input, an answer a JSON object on a line of
standard output. docs/PEERS.md has the protocol. What is sorted and timed, and how, is the
peer's own: see the class Sorter there.

A library may fail to import in any way, and print while it does. Whatever it raises is the
reason why the peer cannot run here, and whatever it prints goes to standard error: from
here on, standard output is for answers alone.

`python3 serve.py NAME` imports the library NAME and says its version.
"""

import importlib
import json
import os
import sys

ANSWERS = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)

PROTOCOL = 2

# Names of the types, and numpy's for them.
DTYPES = {
    "u8": "<u1",
    "u16": "<u2",
    "f16": "<f2",
    "u32": "<u4",
    "i32": "<i4",
    "f32": "<f4",
    "u64": "<u8",
}


def say(**answer):
    print(json.dumps(answer), file=ANSWERS, flush=True)


def skip(reason):
    """Tells that this peer cannot run here, and ends it."""
    say(protocol=PROTOCOL, skipped=" ".join(str(reason).split()))
    ANSWERS.close()
    # What a library that failed to load left behind may fail again, or hang, at the end.
    os._exit(0)


def described(error):
    """An exception in words: the one that it came from, where it says."""
    while error.__cause__ is not None:
        error = error.__cause__
    name = type(error).__name__
    try:
        text = str(error)
    except Exception:  # It cannot say what it is.
        text = ""
    if name == "ModuleNotFoundError" and text:
        return text
    return f"{name}: {text}" if text else name


def or_skip(act):
    """What `act` returns; whatever it raises instead ends the peer, with the reason."""
    try:
        return act()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # An import may even raise SystemExit.
        skip(described(error))


def library(name):
    """A library, imported."""
    return or_skip(lambda: importlib.import_module(name))


numpy = library("numpy")


def read_keys(folder, type_name, n):
    keys = numpy.fromfile(os.path.join(folder, "keys"), dtype=DTYPES[type_name], count=n)
    if len(keys) != n:
        raise ValueError(f"{folder}/keys holds {len(keys)} keys, not {n}")
    return keys


def load(sorter, kind, n, folder):
    """Hands a sorter an input of a kind: `f32+index@descending`."""
    elements, *orders = kind.split("@")
    if elements not in sorter.types or not set(orders) <= set(sorter.sorts):
        raise ValueError(f"unknown type `{kind}`")
    name, _, payload = elements.partition("+")
    sorter.load(name, read_keys(folder, name, n), payload == "index", "descending" in orders)


def save(sorter, folder):
    """Writes the last result: keys, and indices where those were asked for."""
    keys, indices = sorter.result()
    keys.tofile(os.path.join(folder, "keys"))
    if indices is not None:
        indices.astype("<u4").tofile(os.path.join(folder, "values"))


def answer(sorter, line):
    """What to say to one request."""
    # A folder comes last, so that it may contain spaces.
    verb, *rest = line.split(" ", 1)
    rest = rest[0] if rest else ""
    if verb == "load":
        kind, n, folder = rest.split(" ", 2)
        load(sorter, kind, int(n), folder)
        return {"loaded": int(n), "variants": [{"name": sorter.call}]}
    if verb == "run":
        call, count = rest.split(" ")
        if call != sorter.call:
            raise ValueError(f"unknown variant `{call}`")
        sorter.spoil()
        return {"times_ms": [sorter.run() for _ in range(int(count))]}
    if verb == "end_to_end" and hasattr(sorter, "end_to_end"):
        sorter.spoil()
        return {"times_ms": [sorter.end_to_end() for _ in range(int(rest))]}
    if verb == "save":
        save(sorter, rest)
        return {"saved": True}
    raise ValueError(f"unknown request `{line}`")


def version(module):
    """The version of a library, as text."""
    return str(module.__version__)


def serve(make):
    """Greets, then answers requests until one says quit or none can come any more.

    `make` returns the sorter, and may raise whatever keeps the library from the GPU.
    """
    sorter = or_skip(make)
    say(
        protocol=PROTOCOL,
        peer=sorter.name,
        peer_version=sorter.version,
        device=sorter.device,
        orders=list(sorter.orders),
        types=list(sorter.types),
        sorts=list(sorter.sorts),
        end_to_end=hasattr(sorter, "end_to_end"),
    )
    for line in sys.stdin:
        line = line.rstrip("\n")
        if line == "quit":
            return
        try:
            say(**answer(sorter, line))
        except Exception as error:  # Whatever it is, the parent has to be told.
            say(error=" ".join(f"{type(error).__name__}: {error}".split()))


if __name__ == "__main__":
    found = library(sys.argv[1])
    say(protocol=PROTOCOL, library_version=or_skip(lambda: version(found)))
    ANSWERS.close()
    os._exit(0)
