#!/usr/bin/env python3
"""Seconds of an epoch of ComplEx by dicee, with all entities as candidates.

    dicee_epoch.py --data DIR [--regime KvsAll|1vsAll] [--batch N] [--limit N]

256 floats a row, reciprocal relations, Adagrad and, as dicee has no other loss, binary
cross-entropy. A row of a batch is a query: with KvsAll a distinct (head, relation) with all its
answers, with 1vsAll a triple. Only training is timed, by its own trainer for CPUs.

It needs what it does not ask for: `pip install dicee "pyarrow<20" rdflib`. Prints a JSON line.
"""

import argparse
import contextlib
import importlib.metadata
import io
import json
import os
import pathlib
import tempfile
import time

import triples


class Trained(Exception):
    """What follows training is not measured."""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", metavar="DIR", required=True)
    parser.add_argument("--regime", choices=["KvsAll", "1vsAll"], default="KvsAll")
    parser.add_argument("--batch", type=int, default=1024, help="queries")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--limit", type=int, help="triples")
    args = parser.parse_args()
    import tiktoken
    import torch

    # dicee fetches GPT-2's vocabulary from the net, which only its byte-pair encodings use.
    pieces = {bytes([byte]): byte for byte in range(256)}
    encoding = tiktoken.Encoding("gpt2", pat_str=".", mergeable_ranks=pieces, special_tokens={})
    tiktoken.get_encoding = lambda name: encoding
    from dicee.config import Namespace
    from dicee.executer import Execute
    from dicee.trainer.torch_trainer import TorchTrainer

    torch.set_num_threads(args.threads)
    seen = {}
    fit = TorchTrainer.fit

    def timed(self, *models, train_dataloaders, **others):
        seen["queries"] = len(train_dataloaders.dataset)
        began = time.perf_counter()
        fit(self, *models, train_dataloaders=train_dataloaders, **others)
        seen["seconds"] = time.perf_counter() - began
        raise Trained

    TorchTrainer.fit = timed
    rows = triples.read(args.data, "train")[: args.limit]
    with tempfile.TemporaryDirectory() as place, contextlib.redirect_stdout(io.StringIO()):
        folder = pathlib.Path(place) / "data"
        folder.mkdir()
        (folder / "train.txt").write_text("".join("\t".join(row) + "\n" for row in rows))
        recipe = Namespace()
        recipe.dataset_dir = str(folder)
        recipe.path_to_store_single_run = f"{place}/run"
        recipe.model, recipe.embedding_dim = "ComplEx", 256
        recipe.scoring_technique, recipe.batch_size = args.regime, args.batch
        recipe.optim, recipe.lr, recipe.num_epochs = "Adagrad", 0.1, 1
        # Without an evaluation to come it leaves the reciprocal triples out.
        recipe.eval_model, recipe.random_seed = "train", 1
        with contextlib.suppress(Trained):
            Execute(recipe).start()
    print(json.dumps({
        "peer": "dicee",
        "version": importlib.metadata.version("dicee"),
        "what": f"ComplEx, {args.regime}, {args.batch} queries a batch",
        "epoch_seconds": seen["seconds"],
        "queries_a_second": seen["queries"] / seen["seconds"],
    }))


if __name__ == "__main__":
    main()
