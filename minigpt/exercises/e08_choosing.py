"""The exercises of notebook 08."""

from minigpt.check import Exercise


def up(number: int, size: int) -> int:
    """How many of that size hold the number."""
    return -(-number // size)


def text_nbytes(context, full_layers, window_layers, window, token):
    return token * (full_layers * context + window_layers * min(window, context))


def texts(memory, weights, *text):
    return (memory - weights) // text_nbytes(*text)


twice_as_long = Exercise(
    # weights + n x text >= 2 x (weights + text), solved for n
    reference=lambda weights, token, tokens: up(weights, token * tokens) + 2,
    cases=[(1000, 1, 100), (1000, 3, 100), (1000, 3, 50), (247_000_000, 36_864, 500), (100, 10, 100)],
    mistakes={
        "twice the step of one text, which reads a text's keys and values too, not twice the weights alone": (
            lambda weights, token, tokens: up(weights, token * tokens)
        ),
        "a text is whole: round up": lambda weights, token, tokens: weights // (token * tokens) + 2,
        "the step of n texts reads n texts' keys and values: n, not n - 1, have to make up for the second half": (
            lambda weights, token, tokens: up(weights, token * tokens) + 1
        ),
        "the weights are read once for all texts": lambda weights, token, tokens: 2,
        "every text has all of its tokens to be read": lambda weights, token, tokens: up(weights, token) + 2,
    },
)

texts_that_fit = Exercise(
    reference=texts,
    cases=[
        (9800, 4000, 10, 3, 2, 4, 8),
        (10_000, 4000, 10, 3, 2, 40, 8),
        (24 * 2**30, 16 * 2**30, 32_768, 5, 29, 1024, 4096),
        (3000, 2900, 10, 1, 1, 2, 5),
        (9000, 8000, 10, 2, 0, 4, 27),
    ],
    mistakes={
        "the weights take their part of the memory": lambda memory, weights, *text: texts(memory, 0, *text),
        "a layer with a window keeps no more than its window": (
            lambda memory, weights, context, full, windowed, window, token: texts(
                memory, weights, context, full + windowed, 0, window, token
            )
        ),
        "a text that is shorter than the window doesn't fill it": (
            lambda memory, weights, context, full, windowed, window, token: (
                (memory - weights) // (token * (full * context + windowed * window))
            )
        ),
        "the layers with a window keep something too": lambda memory, weights, context, full, windowed, *others: texts(
            memory, weights, context, full, 0, *others
        ),
        "a part of a text, even most of one, is no text: round down": lambda memory, weights, *text: round(
            (memory - weights) / text_nbytes(*text)
        ),
        "one text too many: it would not fit whole": lambda memory, weights, *text: up(
            memory - weights, text_nbytes(*text)
        ),
    },
)


def pages_taken(lengths, shared, page):
    return shared // page + sum(up(length - shared // page * page, page) for length in lengths)


pages = Exercise(
    reference=pages_taken,
    cases=[
        ([40, 50], 32, 16),
        ([40, 50], 24, 16),
        ([100, 101, 102], 37, 16),
        ([20, 20], 20, 16),
        ([5, 6, 7], 0, 4),
        ([32, 48], 16, 16),
    ],
    mistakes={
        "a page that is just full needs no other: round up, don't add one": lambda lengths, shared, page: (
            shared // page + sum((length - shared // page * page) // page + 1 for length in lengths)
        ),
        "pages that are full of what all share are needed once": lambda lengths, shared, page: sum(
            up(length, page) for length in lengths
        ),
        "a page that is only partly shared is needed once a text: what follows in it is not the same": (
            lambda lengths, shared, page: (
                up(shared, page) + sum(up(max(0, length - up(shared, page) * page), page) for length in lengths)
            )
        ),
        "what a text has beyond the shared pages begins in the partly shared one, which it copies": (
            lambda lengths, shared, page: shared // page + sum(up(length - shared, page) for length in lengths)
        ),
        "no page is given to two texts beyond what they share: round up for each text": (
            lambda lengths, shared, page: (
                shared // page + up(sum(length - shared // page * page for length in lengths), page)
            )
        ),
        "a page is taken whole: round up": lambda lengths, shared, page: (
            shared // page + sum((length - shared // page * page) // page for length in lengths)
        ),
    },
)
