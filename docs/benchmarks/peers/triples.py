"""Reads a dataset's train.tsv.gz, valid.tsv.gz and test.tsv.gz."""

import gzip
import pathlib

SPLITS = ["train", "valid", "test"]


def read(folder, split):
    """A split's (head, relation, tail) by name."""
    with gzip.open(pathlib.Path(folder) / f"{split}.tsv.gz", "rt") as lines:
        return [tuple(line.rstrip("\n").split("\t")) for line in lines]


def numbered(folder):
    """Each split's triples by number, how many entities there are, and how many relations."""
    entities, relations = {}, {}
    splits = {
        split: [
            (
                entities.setdefault(head, len(entities)),
                relations.setdefault(relation, len(relations)),
                entities.setdefault(tail, len(entities)),
            )
            for head, relation, tail in read(folder, split)
        ]
        for split in SPLITS
    }
    return splits, len(entities), len(relations)
