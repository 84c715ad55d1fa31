#!/usr/bin/env python3
"""Reads a job's newest checkpoint by docs/format.md alone: read_checkpoint.py STORE JOB

STORE is a folder (a bucket copied with any tool will do). Everything is verified; needs
nothing but Python 3.8. It prints the tensors, and the SHA-256 of each one's numbers.
"""
import hashlib
import json
import pathlib
import struct
import sys

CHUNK = 8 << 20


def read(store, key, want):
    """An object whose SHA-256 must be want."""
    data = (store / key).read_bytes()
    got = hashlib.sha256(data).hexdigest()
    if got != want:
        sys.exit(f"{key} is damaged: its SHA-256 is {got}")
    return data


def manifest_of(store, job):
    head = json.loads((store / job / "HEAD").read_text())
    if head["version"] != 1:
        sys.exit(f"HEAD: version {head['version']} is not known")
    if not head["manifest"]:
        sys.exit(f"job {job} has saved nothing yet")
    name = head["manifest"].rsplit("/", 1)[1]
    m = json.loads(read(store, head["manifest"], name[len("manifest-"):-len(".json")]))
    if (m["version"], m["state_version"]) != (1, 1):
        sys.exit(f"{head['manifest']}: its versions are not known")
    return m


def state_of(store, m):
    folder = f"{m['job']}/{m['generation']}-{m['step']:010d}"
    state = b"".join(read(store, f"{folder}/{c['sha256']}", c["sha256"]) for c in m["chunks"])
    if len(state) != m["size"] or any(c["size"] > CHUNK for c in m["chunks"]):
        sys.exit("the chunks do not make up the state")
    return state


def tensors(m, state):
    """Name, shape, and the numbers as little-endian float32, of each trainable."""
    at = 16  # behind the version and the number of updates
    for p in m["params"]:
        size = 4
        for d in p["shape"]:
            size *= d
        yield p["name"], p["shape"], state[at:at + size]
        at += size
    if len(state) != 16 + 3 * (at - 16):  # two moments follow
        sys.exit("the state has another size than its tensors")


def main(store, job):
    m = manifest_of(store, job)
    state = state_of(store, m)
    version, updates = struct.unpack("<QQ", state[:16])
    print(f"job {job}, step {m['step']}, {updates} updates, state version {version}, digest {m['digest']}")
    for name, shape, data in tensors(m, state):
        print(f"{hashlib.sha256(data).hexdigest()} {shape} {name}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__.strip())
    main(pathlib.Path(sys.argv[1]), sys.argv[2])
