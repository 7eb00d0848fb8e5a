#!/usr/bin/env python3
"""Trains ComplEx in PyTorch by the recipe of fb15k-237-complex: validation MRR by training time.

    curve.py --form libkge|manual [--precision f32|bf16] [--epochs N] [--data DIR] [--batch N]
    curve.py --check

Form `libkge` is autograd with LibKGE's formula, a forward and a backward pass each way; `manual`
has its gradients by hand, both ways at once, and allocates every big buffer only once. With bf16
the factors and results of its products over all entities are bf16; rows and Adagrad stay f32.

A JSON line an epoch: {"epoch", "seconds", "mrr"}. Ranking, which is not in `seconds`, is filtered,
both ways, ties in the middle. --check compares the gradients of `manual` with autograd's.
"""

import argparse
import json
import os
import time

import torch
import torch.nn.functional as F

import triples

WIDTH, RATE, DEVIATION, PENALTY, SEED = 256, 0.1, 1e-3, 0.05, 1


def both_ways(batch, relations):
    """The queries (h, r, ?) and (t, r + relations, ?): anchors, relations and targets of each."""
    heads, between, tails = batch.unbind(1)
    return (heads, between, tails), (tails, between + relations, heads)


def product(a, b):
    """Complex products of rows that are halves, real and imaginary."""
    (x, y), (u, v) = a.chunk(2, dim=1), b.chunk(2, dim=1)
    return torch.cat([x * u - y * v, x * v + y * u], dim=1)


def conjugate_product(a, b):
    """The products of `a` and the conjugates of `b`: what `product` hands back to its factors."""
    (x, y), (u, v) = a.chunk(2, dim=1), b.chunk(2, dim=1)
    return torch.cat([x * u + y * v, y * u - x * v], dim=1)


def libkge_scores(rows, relations, table):
    """LibKGE's formula: the four terms side by side, a product over twice the columns."""
    real, imaginary = relations.chunk(2, dim=1)
    table_real, table_imaginary = table.chunk(2, dim=1)
    left = torch.cat([rows, rows], 1) * torch.cat([real, relations, -imaginary], 1)
    return left.mm(torch.cat([table, table_imaginary, table_real], 1).t())


def cubes(rows):
    """The sum of the cubed moduli."""
    real, imaginary = rows.chunk(2, dim=1)
    return (real.square() + imaginary.square()).pow(1.5).sum()


def cubes_gradient(rows):
    """The gradient of `cubes`."""
    real, imaginary = rows.chunk(2, dim=1)
    return (3 * (real.square() + imaginary.square()).sqrt()).repeat(1, 2) * rows


class Autograd:
    """Form `libkge`."""

    def __init__(self, entities, relations, _batch, _precision):
        self.entities, self.relations = entities, relations
        self.all = torch.arange(len(entities))

    def gradients(self, batch):
        self.entities.grad = self.relations.grad = None
        for anchors, relations, targets in both_ways(batch, len(self.relations) // 2):
            rows = F.embedding(anchors, self.entities)
            between = F.embedding(relations, self.relations)
            scores = libkge_scores(rows, between, F.embedding(self.all, self.entities))
            loss = F.cross_entropy(scores, targets, reduction="sum")
            aims = F.embedding(targets, self.entities)
            loss = loss + PENALTY * (cubes(rows) + cubes(between) + cubes(aims))
            (loss / (2 * len(batch))).backward()


class Manual:
    """Form `manual`."""

    def __init__(self, entities, relations, batch, precision):
        self.entities, self.relations = entities, relations
        entities.grad, relations.grad = torch.zeros_like(entities), torch.zeros_like(relations)
        self.low = torch.bfloat16 if precision == "bf16" else entities.dtype
        self.scores = torch.empty(2 * batch, len(entities), dtype=self.low)
        self.lines = torch.arange(2 * batch)
        if self.low != entities.dtype:
            self.table = torch.empty(entities.shape, dtype=self.low)
            self.pull = torch.empty(entities.shape, dtype=self.low)
        else:
            self.table, self.pull = entities.data, entities.grad

    @torch.no_grad()
    def gradients(self, batch):
        ways = both_ways(batch, len(self.relations) // 2)
        anchors, relations, targets = (torch.cat(part) for part in zip(*ways))
        count = len(anchors)
        rows, between = self.entities[anchors], self.relations[relations]
        queries = product(rows, between)
        if self.table is not self.entities.data:
            self.table.copy_(self.entities)
        scores = self.scores[:count]
        torch.mm(queries.to(self.low), self.table.t(), out=scores)
        torch.softmax(scores, 1, out=scores)
        scores[self.lines[:count], targets] -= 1
        torch.mm(scores.t(), (queries / count).to(self.low), out=self.pull)
        if self.pull is not self.entities.grad:
            self.entities.grad.copy_(self.pull)
        on_queries = scores.mm(self.table).to(rows.dtype)
        # Each entity of a triple is once an anchor and once a target: its penalty counts twice.
        on_rows = conjugate_product(on_queries, between) + 2 * PENALTY * cubes_gradient(rows)
        on_between = conjugate_product(on_queries, rows) + PENALTY * cubes_gradient(between)
        self.entities.grad.index_add_(0, anchors, on_rows, alpha=1 / count)
        self.relations.grad.zero_().index_add_(0, relations, on_between, alpha=1 / count)


FORMS = {"libkge": Autograd, "manual": Manual}


def parameters(entities, relations, width, deviation):
    """Rows of entities and, for each relation, one a direction."""
    torch.manual_seed(SEED)
    tables = [torch.randn(count, width) * deviation for count in [entities, 2 * relations]]
    return [torch.nn.Parameter(table) for table in tables]


class Ranking:
    """Filtered MRR of triples, both ways."""

    def __init__(self, ranked, known, relations, size=512):
        key = lambda anchors, between: anchors * 2 * relations + between
        ways = [torch.cat(part) for part in zip(*both_ways(known, relations))]
        keys, order = key(*ways[:2]).sort()
        answers = ways[2][order]
        queries = [torch.cat(part) for part in zip(*both_ways(ranked, relations))]
        self.chunks = []
        for anchors, between, targets in zip(*(part.split(size) for part in queries)):
            first = torch.searchsorted(keys, key(anchors, between))
            count = torch.searchsorted(keys, key(anchors, between), right=True) - first
            lines = torch.arange(len(anchors)).repeat_interleave(count)
            places = torch.arange(len(lines)) - (count.cumsum(0) - count - first)[lines]
            self.chunks.append((anchors, between, targets, lines, answers[places]))

    @torch.no_grad()
    def mrr(self, entities, relations):
        total, queries = 0.0, 0
        for anchors, between, targets, lines, answers in self.chunks:
            scores = product(entities[anchors], relations[between]).mm(entities.t())
            own = scores.gather(1, targets[:, None])
            scores[lines, answers] = -torch.inf
            below, equal = (scores < own).sum(1), (scores == own).sum(1)
            # The target itself is among those below by now.
            total += (1 / (1 + len(entities) - below - equal / 2)).sum().item()
            queries += len(anchors)
        return total / queries


def train(args):
    splits, entities, relations = triples.numbered(args.data)
    splits = {split: torch.tensor(numbers) for split, numbers in splits.items()}
    ranking = Ranking(splits["valid"], torch.cat(list(splits.values())), relations)
    tables = parameters(entities, relations, WIDTH, DEVIATION)
    form = FORMS[args.form](*tables, args.batch, args.precision)
    optimiser = torch.optim.Adagrad(tables, lr=RATE, eps=1e-10, fused=args.form == "manual")
    seconds = 0.0
    for epoch in range(1, args.epochs + 1):
        began = time.perf_counter()
        for places in torch.randperm(len(splits["train"])).split(args.batch):
            form.gradients(splits["train"][places])
            optimiser.step()
        seconds += time.perf_counter() - began
        mrr = ranking.mrr(*tables)
        print(json.dumps({"epoch": epoch, "seconds": seconds, "mrr": mrr}), flush=True)


def check():
    """The greatest difference of a gradient over the greatest gradient, by precision and table."""
    batch = torch.stack([torch.randint(50, [8]), torch.randint(3, [8]), torch.randint(50, [8])], 1)
    for precision, dtype in [("f64", torch.float64), ("f32", torch.float32), ("bf16", None)]:
        gradients = []
        for form in [Autograd, Manual]:
            tables = parameters(50, 3, 16, 0.7)
            for table in tables:
                table.data = table.data.to(dtype or torch.float32)
            form(*tables, 8, precision).gradients(batch)
            gradients.append([table.grad for table in tables])
        for name, right, own in zip(["entities", "relations"], *gradients):
            error = ((own - right).abs().max() / right.abs().max()).item()
            print(json.dumps({"precision": precision, "table": name, "relative_error": error}))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--form", choices=FORMS, default="libkge")
    parser.add_argument("--precision", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--data", metavar="DIR")
    parser.add_argument("--batch", type=int, default=512, help="triples")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.check:
        check()
    elif not args.data:
        parser.error("--data is needed")
    elif (args.form, args.precision) == ("libkge", "bf16"):
        parser.error("bf16 is of the form `manual` only")
    else:
        train(args)


if __name__ == "__main__":
    main()
