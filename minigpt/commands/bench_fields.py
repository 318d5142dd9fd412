"""What `python -m minigpt bench --json` prints."""

TIME = {
    "of": "string: first_token, from the call to the first new token; or token, each further one, on average",
    "seconds": "number: of the median round",
    "seconds_low": "number: of the fastest",
    "seconds_high": "number: of the slowest",
    "ratios": (
        "list of objects: one for each of `versus`",
        {
            "versus": "string: its name",
            "ratio": "number: how many times as fast as it, the median of the rounds' ratios",
            "low": "number: the lowest of them",
            "high": "number: the highest of them",
        },
    ),
    "least_seconds": "number: a lower bound for any program: bytes that must be read and written, or FLOPs, at the "
    "machine's own speeds, whichever takes longer",
    "of_limit": "number: the share of the machine's own speed that is reached, the median of the rounds' shares",
    "predicted_seconds": "number or null: if all that the cache reads, writes and copies, by its closed form, goes at "
    "the memory's own speed (null: there is no closed form)",
}

FIELDS = {
    "model": "string: what --model or --shape was",
    "random_weights": "boolean: whether the weights are (--shape)",
    "new_tokens": "integer: generated in each row; two without a cache if that is decoded alone (--growth)",
    "rounds": "integer: in each, all took a turn",
    "versus": "list of strings: the contestants with which all are compared",
    "machine": (
        "object: what the times depend on",
        {
            "processor": "string: its name, if the system tells it",
            "system": "string: such as Linux",
            "python": "string: its version",
            "torch": "string: its version",
            "threads": "integer: of PyTorch, on the CPU",
        },
    ),
    "cells": (
        "list of objects: one for each batch and context",
        {
            "batch": "integer: rows",
            "context": "integer: tokens of each row's prompt",
            "bytes_per_second": "number: the memory's own speed, by a plain sum, in the median round",
            "flops_per_second": "object of numbers: the arithmetic's speed, by a product of large matrices, by dtype",
            "lines": (
                "list of objects: one for each contestant",
                {
                    "name": "string: a cache, compiled or not, or a library",
                    "dtype": "string: of weights and cache",
                    "tokens": "integer: new ones, in all rows",
                    "tokens_as_uncached": "integer: of these, that the uncached model picks after the same text",
                    "first_call_seconds": "number: of the call before the race, which may compile",
                    "times": ("list of objects: of the first token, unless --growth, and of a token", TIME),
                },
            ),
        },
    ),
    "growth": (
        "list of objects: for each batch and contestant, if there are several contexts: the power of the context with "
        "which time per token grows",
        {
            "batch": "integer: rows",
            "name": "string: the contestant",
            "exponent": "number: of the measured times",
            "least_exponent": "number: of least_seconds",
            "predicted_exponent": "number or null: of predicted_seconds",
        },
    ),
}
