"""The exercises of notebook 08."""

from minigpt.check import Exercise


def texts(memory, weights, context, layers, kv_heads, head_size, itemsize):
    return (memory - weights) // (2 * layers * kv_heads * head_size * itemsize * context)


tokens_as_large_as_weights = Exercise(
    reference=lambda weights, token, texts: -(-weights // (texts * token)),
    cases=[(1000, 100, 1), (1000, 300, 1), (1000, 100, 3), (500, 8, 4)],
    mistakes={
        "each text has keys and values of its own": lambda weights, token, texts: -(-weights // token),
        "the texts share the weights: there is one set of these, whatever the batch": lambda weights, token, texts: (
            -(-texts * weights // token)
        ),
        "a token is whole: round up": lambda weights, token, texts: weights // (texts * token),
        "one token too many where it divides evenly: as large is enough": lambda weights, token, texts: (
            weights // (texts * token) + 1
        ),
    },
)

texts_that_fit = Exercise(
    reference=texts,
    cases=[
        (10000, 4000, 10, 2, 3, 4, 4),
        (24 * 2**30, 16 * 2**30, 8192, 32, 8, 128, 2),
        (24 * 2**30, 15 * 2**30, 10000, 32, 8, 128, 2),
        (8000, 7500, 10, 2, 3, 4, 1),
    ],
    mistakes={
        "the weights take their part of the memory": lambda memory, weights, *sizes: texts(memory, 0, *sizes),
        "keys and values: twice": lambda memory, weights, context, *sizes: texts(
            2 * memory, 2 * weights, context, *sizes
        ),
        "each number has several bytes": lambda memory, weights, *sizes: texts(memory, weights, *sizes[:-1], 1),
        "a text is `context` tokens, not one": lambda memory, weights, context, *sizes: texts(
            memory, weights, 1, *sizes
        ),
        "a part of a text is none: round down": lambda *case: texts(*case) + 1,
    },
)

first_refused = Exercise(
    reference=lambda prompt, capacity: capacity - prompt + 1,
    cases=[(6, 16), (1, 2), (100, 512), (16, 16)],
    mistakes={
        "the last new token is never fed: this one still goes through the broken cache": lambda prompt, capacity: (
            capacity - prompt
        ),
        "this fits neither of the two": lambda prompt, capacity: capacity - prompt + 2,
        "the prompt takes slots too": lambda prompt, capacity: capacity + 1,
    },
)
