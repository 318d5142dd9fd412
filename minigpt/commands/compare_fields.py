"""What `python -m minigpt compare --json` prints."""

FIELDS = {
    "setting": (
        "object: what was run",
        {
            "model": "string: what --model was",
            "dtype": "string: of weights and cache",
            "device": "string: what --device was",
            "seed": "integer or null: of the drawn text (null: greedy)",
            "processor": "string: its name, if the system tells it",
            "system": "string: such as Linux",
            "python": "string: its version",
            "torch": "string: its version",
            "threads": "integer: of PyTorch, on the CPU",
        },
    ),
    "prompt": "string: the text that was continued",
    "continuation": "string: what `none` wrote",
    "prompt_tokens": "integer: how many",
    "new_tokens": "integer: how many",
    "caches": (
        "list of objects: one for each cache, first `none`, with which all are compared",
        {
            "cache": "string: its name",
            "window": "integer or list or null: the last tokens that the model sees with it (null: all; list: of "
            "each layer)",
            "sinks": "integer: the first tokens that it sees too",
            "lossy": "boolean: whether the cache rounds",
            "tokens_equal": "boolean: whether all new tokens are those of its oracle, the uncached model that sees as "
            "much, and reads rounded numbers where the cache had rounded them",
            "first_difference": "integer or null: the first new token, from 0, that is not the oracle's (null: none)",
            "largest_logit_difference": "number: from the oracle's logits, over all steps up to there",
            "exact_tokens": "integer: how many new tokens, from the first on, are those of `none`",
            "exact_logit_difference": "number: from the logits of `none`, over all steps up to there",
            "prefill_ms_per_token": "number: milliseconds for each token of the prompt, in the median round",
            "decode_ms_per_token": "number: milliseconds for each new token after the first, in the median round",
            "speedup": "number: how many times as fast as `none`, in decode",
            "nbytes": "integer: bytes held at the end",
            "kv_rows_computed": "integer: a row is one token's key and value in one layer",
            "kv_rows_needed": "integer: one for each token that was fed, in each layer",
            "most_times": "integer: how often the same row was computed, at most",
            "mean_times": "number: how often, on average",
        },
    ),
    "distances": "list of integers: of the memory questions, the most tokens from the fact to the answer",
    "quality": (
        "list of objects: one for each setting whose memory was tested; none with --questions 0, for another model "
        "than the bundled one, or where no cache forgets",
        {
            "setting": (
                "object: a cache, and the model's window with it",
                {
                    "name": "string: in words",
                    "family": "string: the group of similar settings that it belongs to",
                    "cache": "string: its name",
                    "options": "object: as make_cache takes them",
                    "window": "integer or null: the last tokens that the model sees (null: all)",
                    "sinks": "integer: the first tokens that it sees too",
                    "streaming": "boolean: whether positions are counted among what it sees",
                },
            ),
            "questions": "integer: asked at each distance",
            "right": "list of integers: how many were answered right, at each of the distances",
            "nbytes": "integer: bytes held at the end of a question's prompt, in float16, fed one token at a time",
            "most_nbytes": "integer: the most bytes on the way there",
            "bits_per_byte": "number: surprise at prose never read before, in bits for each byte of UTF-8",
            "more_bits": "number: how many more than without a cache",
            "more_bits_interval": "list of numbers: the lower and the upper end of its 95% interval",
        },
    ),
}
