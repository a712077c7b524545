"""Starts the examples for the scripts beside it, and keeps count of what they check."""

import atexit
import os
import re
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROGRAMS = os.path.join(os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target")), "debug", "examples")
REQUIRED = os.environ.get("REQUIRE_CLIENTS") == "1"

# What the environment of the one who runs this must not change: settings of the examples and of clients.
CLEAN = {
    name: value
    for name, value in os.environ.items()
    if not re.match(r"(CLERK|FAKE|GIT|HTTP|HTTPS|ALL|NO|http|https|all|no)_|UPSTREAM|IDENTITY|ORGANIZATION|FORWARD|TRUSTED|PUBLIC|TOKEN", name)
}
CLEAN["NO_PROXY"] = CLEAN["no_proxy"] = "*"

running = []
checked = 0


def build():
    command = ["cargo", "build", "--quiet", "--locked", "--examples"]
    subprocess.run(command, cwd=ROOT, check=True, stdin=subprocess.DEVNULL)


def start(name, pattern=r"^listening on (http://[0-9.:]+)$", command=None, **settings):
    """Starts an example, or a command, and returns what it prints once it prints this pattern."""
    out = tempfile.TemporaryFile("w+")
    environment = {**CLEAN, "LISTEN_ADDR": "127.0.0.1:0", "SIGN_IN_RATE": "off", **settings}
    process = subprocess.Popen(
        command or [os.path.join(PROGRAMS, name)], env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out
    )
    running.append(process)
    until = time.monotonic() + 30
    while True:
        out.seek(0)
        said = out.read()
        found = re.search(pattern, said, re.MULTILINE)
        if found:
            return found.group(1), said
        if process.poll() is not None or time.monotonic() > until:
            sys.exit(f"{name} doesn't listen:\n{said}")
        time.sleep(0.05)


@atexit.register
def stop():
    for process in running:
        process.kill()
        process.wait()


def check(holds, what):
    global checked
    if not holds:
        sys.exit(f"does not hold: {what}")
    checked += 1


def equal(found, expected, what):
    check(found == expected, f"{what}: {found!r}, not {expected!r}")


def skip(what):
    """Says that something isn't installed. Where everything has to be, that is an error."""
    if REQUIRED:
        sys.exit(f"not installed: {what}")
    print(f"LEFT OUT, not installed: {what}", flush=True)
