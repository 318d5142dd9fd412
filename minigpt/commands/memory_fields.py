"""What `python -m minigpt memory --json` prints."""

FIELDS = {
    "model": "string: as it was given",
    "layers": "integer: how many keep keys and values",
    "layers_with_window": "integer: how many of these see only the last `window` tokens",
    "window": "integer or null: tokens, the widest of all layers (null: no layer has one)",
    "kept": (
        'object of objects: what a layer keeps of a token, by name, such as "keys"',
        {"heads": "integer: how many", "size": "integer: numbers of a head"},
    ),
    "model_context": "integer or null: tokens that the model was made for (null: its config doesn't say)",
    "nbytes_per_token": "integer: bytes of one token's keys and values in 16 bits, in all layers",
    "nbytes_per_token_past_window": "integer: bytes that one more token adds where all windows are full",
    "context": "integer: tokens of a row",
    "batch": "integer: rows",
    "memory": "integer or null: bytes of --fits (null: not given)",
    "weights": "integer: bytes of --weights, which `memory` has to hold as well",
    "caches": (
        "list of objects: one for each cache that can serve the model, the quantized one for each number of bits",
        {
            "cache": "string: its name",
            "bits": "integer: of each number that it keeps",
            "nbytes": "integer: bytes held in fast memory, in the end",
            "nbytes_peak": "integer or null: the most bytes at any moment (null: depends on how the text is fed)",
            "nbytes_below": "integer: bytes held in slower memory",
            "nbytes_of_next_token": "integer: bytes in fast memory that one more token adds, fed in the same way",
            "longest_context": "integer or null: tokens of a row that fit into `memory` (null: any, or no --fits)",
        },
    ),
}
