#!/usr/bin/env python3
"""Triples a second of ComplEx with shared negatives, by PyTorch-BigGraph's and DGL-KE's trainers.

    negatives.py pbg|dglke --data DIR [--negatives N] [--workers N] [--limit N]

256 floats a row, batches of 1,024 triples, both sides corrupted, Adagrad on the rows touched with
a state for each row. A triple has N negatives a side, which it shares with its chunk of the batch;
workers have a thread each, and update the same rows without locks.

  pbg    `complex_diagonal` with `dot`, softmax. Chunks of N / 2 triples, which are each other's
         negatives (`num_batch_negs`); as many are drawn (`num_uniform_negs`). The figure is its
         own, of its fastest epoch: so many edges processed in so many seconds.
  dglke  `dglke_train`: logistic loss (it has no softmax), all N negatives drawn, chunks of N
         triples. A step corrupts one side, so two of them are a batch; the figure is the median of
         ten times that it logs of its steps.

Both are of long ago. What they want, the second of them Python 3.8:

    pip install "setuptools<81" torchbiggraph==1.0.0
    pip install "setuptools<81" dglke==0.1.2 dgl==0.4.3.post2 torch==2.4.1 "numpy<1.24"

Prints a JSON line.
"""

import argparse
import contextlib
import io
import json
import logging
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile

import triples


def batch_of(chunk):
    """Whole chunks, 1,024 triples or as few more as can be."""
    return -(-1024 // chunk) * chunk


def unpack_optional(kind):
    """PyTorch-BigGraph's compares by identity what `typing` makes anew when its cache is full."""
    if type(None) not in getattr(kind, "__args__", []):
        raise TypeError("Not an optional type")
    return kind.__args__[0]


def pbg(args, place, file, _count):
    """Its version, and triples a second."""
    import torchbiggraph.schema
    from torchbiggraph.config import ConfigSchema
    from torchbiggraph.converters.import_from_tsv import convert_input_data
    from torchbiggraph.train import train
    from torchbiggraph.util import set_logging_verbosity

    torchbiggraph.schema.unpack_optional = unpack_optional
    chunk = args.negatives // 2
    config = ConfigSchema.from_dict({
        "entity_path": str(place / "entities"),
        "edge_paths": [str(place / "edges")],
        "checkpoint_path": str(place / "model"),
        "entities": {"all": {"num_partitions": 1}},
        "relations": [{"name": "all", "lhs": "all", "rhs": "all", "operator": "complex_diagonal"}],
        "dynamic_relations": True,
        "dimension": 256,
        "global_emb": False,
        "comparator": "dot",
        "loss_fn": "softmax",
        "lr": 0.1,
        "batch_size": batch_of(chunk),
        "num_batch_negs": chunk,
        "num_uniform_negs": args.negatives - chunk,
        "num_epochs": 3,
        "eval_fraction": 0.0,
        "workers": args.workers,
        "hogwild_delay": 0.0,
    })
    log = io.StringIO()
    logging.basicConfig(handlers=[logging.StreamHandler(log)])
    set_logging_verbosity(0)
    with contextlib.redirect_stdout(io.StringIO()):
        convert_input_data(
            config.entities, config.relations, config.entity_path, config.edge_paths, [file],
            lhs_col=0, rhs_col=2, rel_col=1, dynamic_relations=True,
        )
    train(config)
    epochs = re.findall(r"Processed (\d+) edges in ([\d.]+) s", log.getvalue())
    return torchbiggraph.__version__, max(int(edges) / float(took) for edges, took in epochs)


def dglke(args, place, file, count):
    """Its version, and triples a second."""
    batch = batch_of(args.negatives)
    steps = max(2 * count // batch // args.workers // 10, 2)
    command = [
        pathlib.Path(sys.executable).with_name("dglke_train"), "--model_name", "ComplEx",
        "--dataset", "own", "--format", "raw_udd_hrt", "--data_path", place,
        "--data_files", file.name, "--save_path", place / "model", "--no_save_emb",
        "--hidden_dim", "256", "--lr", "0.1", "--batch_size", str(batch),
        "--neg_sample_size", str(args.negatives), "--max_step", str(10 * steps),
        "--log_interval", str(steps), "--num_proc", str(args.workers), "--num_thread", "1",
    ]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env=dict(os.environ, DGLBACKEND="pytorch", OMP_NUM_THREADS="1"),
    )
    took = [float(s) for s in re.findall(r"\[Train\] \d+ steps take ([\d.]+) s", done.stdout)]
    if done.returncode or not took:
        sys.exit(done.stdout)
    version = (pathlib.Path(sys.prefix)).glob("lib/*/site-packages/dglke/VERSION.txt")
    a_second = args.workers * steps * batch / 2 / statistics.median(took)
    return next(version).read_text().strip(), a_second


PEERS = {"pbg": ("PyTorch-BigGraph", pbg), "dglke": ("DGL-KE", dglke)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("peer", choices=PEERS)
    parser.add_argument("--data", metavar="DIR", required=True)
    parser.add_argument("--negatives", type=int, default=512, help="a side")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--limit", type=int, help="triples")
    args = parser.parse_args()
    name, run = PEERS[args.peer]
    rows = triples.read(args.data, "train")[: args.limit]
    with tempfile.TemporaryDirectory() as place:
        file = pathlib.Path(place) / "train.tsv"
        file.write_text("".join("\t".join(row) + "\n" for row in rows))
        version, a_second = run(args, pathlib.Path(place), file, len(rows))
    what = f"ComplEx, {args.negatives} shared negatives a side, {args.workers} workers"
    print(json.dumps({
        "peer": name, "version": version, "what": what, "epoch_seconds": len(rows) / a_second,
        "triples_a_second": a_second,
    }))


if __name__ == "__main__":
    main()
