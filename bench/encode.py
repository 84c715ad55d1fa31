#!/usr/bin/env python3
"""Times our tokenizer beside the Rust library that most people use, on one thread each.

    pip install tokenizers==0.22.2
    python3 bench/encode.py [--out docs/bench.md] [NAME...]

Both encode the same 10 MB, made by repeating the text of ../shared/data, once line by
line and once in pieces of a megabyte. They run in turns, and the median of the ratios
counts; the first turn, in which no word has been seen before, is told apart. The Rust
library gets a thousand texts a call and keeps no offsets (encode_batch_fast), the
fastest way it has. The ids must be the same, or there is no table.

Needs Go, and ../shared beside the repository.
"""
import argparse
import csv
import json
import os
import pathlib
import re
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import zlib

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"
import tokenizers  # noqa: E402 (it reads them)

ROOT = pathlib.Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"
KINDS = {"gpt2": "byte-level BPE", "llama3": "byte-level BPE", "bert-uncased": "WordPiece", "t5": "Unigram",
         "llama2": "SentencePiece BPE"}
SIZE, PIECE = 10_000_000, 1 << 20
HEAD = "## Encoding text beside the Rust tokenizers library"


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("names", nargs="*", default=list(KINDS), help=f"of {', '.join(KINDS)}; default: all")
    options.add_argument("--turns", type=int, default=7, help="pairs of runs (default 7)")
    options.add_argument("--out", help="file whose section is replaced; default: standard output")
    o = options.parse_args()
    with tempfile.TemporaryDirectory() as work:
        encode = pathlib.Path(work) / "encode"
        subprocess.run(["go", "build", "-o", encode, "./bench/encode"], cwd=ROOT, check=True)
        lines = text_lines()
        rows = [measure(encode, work, name, how, texts, o.turns)
                for name in o.names for how, texts in (("lines", lines), ("megabytes", pieces(lines)))]
    write(o.out, section(rows, o.turns))


def text_lines():
    """The texts of the data sets, again and again up to SIZE bytes."""
    lines = []
    for path in sorted(SHARED.glob("data/*/*.tsv")):
        with open(path, newline="", encoding="utf-8") as f:
            lines += [row[0] for row in csv.reader(f, delimiter="\t", quoting=csv.QUOTE_NONE) if row and row[0]]
    if not lines:
        sys.exit(f"no text in {SHARED}/data")
    out, size = [], 0
    while size < SIZE:
        for line in lines:
            out.append(line)
            size += len(line.encode()) + 1
            if size >= SIZE:
                break
    return out


def pieces(lines):
    """The lines put together to pieces of about PIECE bytes."""
    text, out, at = "\n".join(lines), [], 0
    while at < len(text):
        end = text.find("\n", at + PIECE)
        end = len(text) if end < 0 else end + 1
        out.append(text[at:end])
        at = end
    return out


def measure(encode, work, name, how, texts, turns):
    """One row of the table."""
    directory = SHARED / "fixtures/tokenizers" / name
    path = pathlib.Path(work) / "texts.json"
    path.write_text(json.dumps(texts))
    rust = tokenizers.Tokenizer.from_file(str(directory / "tokenizer.json"))
    size, ours, theirs = sum(len(t.encode()) for t in texts), [], []
    with subprocess.Popen([encode, directory, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as go:
        for turn in range(turns + 1):
            encode_rust = lambda: theirs.append(time_rust(rust, texts))
            encode_go = lambda: ours.append(time_go(go))
            for run in (encode_rust, encode_go) if turn % 2 else (encode_go, encode_rust):
                run()
            print(f"{name}, {how}, turn {turn}: {ours[-1][0]:.3f} s, Rust {theirs[-1][0]:.3f} s", file=sys.stderr)
            if ours[-1][1:] != theirs[-1][1:]:
                sys.exit(f"{name}: the ids differ: {ours[-1][1]} with checksum {ours[-1][2]}, Rust {theirs[-1][1]} with {theirs[-1][2]}")
        go.stdin.close()
    ratios = [t[0] / o[0] for o, t in zip(ours, theirs)]
    speed = lambda times: size / 1e6 / statistics.median(t[0] for t in times[1:])
    return (name, KINDS.get(name, ""), how, f"{speed(ours):.1f}", f"{speed(theirs):.1f}",
            f"{statistics.median(ratios[1:]):.2f}", f"{ratios[0]:.2f}")


def time_go(go):
    go.stdin.write("\n")
    go.stdin.flush()
    answer = go.stdout.readline().split()
    if len(answer) != 3:
        sys.exit("bench/encode has ended")
    return float(answer[0]), int(answer[1]), int(answer[2])


def time_rust(rust, texts):
    took, n, crc = 0, 0, 0
    for at in range(0, len(texts), 1000):
        some = texts[at:at + 1000]
        start = time.perf_counter()
        encodings = rust.encode_batch_fast(some, add_special_tokens=False)
        took += time.perf_counter() - start
        for e in encodings:
            ids = e.ids
            n += len(ids)
            crc = zlib.crc32(struct.pack(f"<{len(ids)}i", *ids), crc)
    return took, n, crc


def section(rows, turns):
    processor = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "unknown")
    go = subprocess.run(["go", "version"], capture_output=True, text=True, check=True).stdout.split()[2]
    table = ["| tokenizer | model | texts | carillon, MB/s | Rust, MB/s | times as fast | in the first turn |",
             "| --- | --- | --- | --- | --- | --- | --- |"]
    table += ["| " + " | ".join(row) + " |" for row in rows]
    return f"""{HEAD}

One thread each, 10 MB of ../shared/data line by line and in pieces of a megabyte, the same ids; medians over {turns} pairs that ran
in turns. At least 1 is the aim. Made on {time.strftime('%Y-%m-%d')}, on {processor}, {go}, tokenizers {tokenizers.__version__}. `python3 bench/encode.py`

""" + "\n".join(table) + "\n"


def write(path, text):
    """Replaces the section of the file, or adds it at its end."""
    if not path:
        print(text)
        return
    old = pathlib.Path(path).read_text() if os.path.exists(path) else ""
    mine = re.compile(re.escape(HEAD) + r"\n.*?(?=^## |\Z)", re.S | re.M)
    if mine.search(old):
        new = mine.sub(lambda _: text + "\n", old).rstrip("\n") + "\n"
    else:
        new = old.rstrip("\n") + "\n\n" + text
    pathlib.Path(path).write_text(new)


if __name__ == "__main__":
    main()
