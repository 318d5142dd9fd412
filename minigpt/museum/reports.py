"""Public reports of real code that made the same mistake, if seldom in the same line: looked up, none is guessed."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Report:
    """place: "owner/repository/issues/number", or pull. said: what went wrong there."""

    place: str
    said: str

    @property
    def url(self) -> str:
        return f"https://github.com/{self.place}"


REPORTS = {
    "a chunk after a prefill attends to its own future": Report(
        "mlx-node/mlx-node/pull/24",
        "a review: the mask was causal only where queries and keys are equally many, so not for a chunk with a cache.",
    ),
    "a chunk sees its own future": Report(
        "Mikyx-1/TinyLLM/pull/18",
        "as soon as there was a cache, nothing was masked, not even in the prefill of a prompt.",
    ),
    "the causal mask is aligned to the upper left": Report(
        "pytorch/pytorch/issues/144858",
        "with is_causal, a query behind a cache is taken for the first one: it sees the first key alone.",
    ),
    "the window is one too wide": Report(
        "ml-explore/mlx-lm/pull/390", "the mask of a window let each token see one token too many."
    ),
    "what left the window is seen by a single token": Report(
        "karpathy/nanochat/issues/452", "the path for a single token attended to the whole cache, window or not."
    ),
    "the mask is left out when one token is decoded": Report(
        "huggingface/transformers/pull/30437",
        "with a static cache, attention was given no mask, and took the length of the cache for that of the text.",
    ),
    "what an empty slot holds is seen": Report(
        "huggingface/transformers/pull/30414",
        "the zeros in the slots that a static cache had not filled weren't masked.",
    ),
    "query heads read the key heads in turns": Report(
        "onnx/onnx/pull/7274", "key heads were tiled (0 1 0 1), where models want each repeated (0 0 1 1)."
    ),
    "positions restart at 0 with each call": Report(
        "Blaizzy/mlx-vlm/issues/1983", "positions were counted from 0 in each call, so each decoded token stood at 0."
    ),
    "padding counts as a position": Report(
        "huggingface/transformers/issues/21080", "in GPT-2, pads on the left moved the positions of the tokens behind."
    ),
    "ragged rows get the positions of row 0": Report(
        "karpathy/nanochat/pull/485", "where single tokens are decoded, the length of row 0 was used for all rows."
    ),
    "padding is seen": Report(
        "TransformerLensOrg/TransformerLens/issues/1005", "generate did not mask pads, so a batch wrote other texts."
    ),
    "the window is one too narrow": Report(
        "huggingface/transformers/issues/37574",
        "the window rolled on when it became full, a token too early, and the oldest one was lost.",
    ),
    "the ring is one slot short": Report(
        "pytorch/executorch/pull/20346",
        "a chunk too long for the ring overwrote what its own first tokens still had to see.",
    ),
    "from the second turn on, the ring writes one slot too early": Report(
        "huggingface/transformers/pull/47708", "after it wrapped round, the ring was read and written at wrong slots."
    ),
    "every layer has the ring of the narrowest window": Report(
        "pytorch/executorch/pull/21635", "all layers had as many slots as the window, those that see everything too."
    ),
    "what was taken back is still reported": Report(
        "ml-explore/mlx-swift-lm/pull/584",
        "in a ring that had wrapped, trim moved the counters alone, and rejected tokens stayed.",
    ),
    "a token that was overwritten is reported": Report(
        "ml-explore/mlx-lm/pull/1512", "trim took tokens back from a ring whose older ones were gone, and said nothing."
    ),
    "a crop past the start is taken": Report(
        "huggingface/transformers/issues/47433", "crop(-5) of three tokens left one, where none should be left."
    ),
    "reset keeps the tokens": Report(
        "huggingface/transformers/pull/48809", "reset wrote zeros, but a dynamic cache was as long as before."
    ),
    "a crop keeps a view of all that was there": Report(
        "ollama/ollama/pull/15065", "a copied slice held on to all the memory of the cache that it was cut from."
    ),
    "two conversations share their keys": Report(
        "exo-explore/exo/issues/67", "all requests shared one cache, and so did conversations."
    ),
    "select forgets the rounded keys": Report(
        "huggingface/transformers/pull/45510", "beams reordered the tokens that were still exact, not the rounded ones."
    ),
    "a crop forgets the rounded part": Report(
        "huggingface/transformers/pull/45510", "crop cut the tokens that were still exact, not the rounded ones."
    ),
    "the residual is rounded a token too early": Report(
        "huggingface/transformers/issues/35185",
        "of the first chunk nothing stayed exact: all of it was rounded, whatever the residual length.",
    ),
    "a prefetch is not awaited": Report(
        "vllm-project/vllm/issues/47282", "copying from the CPU and computing did not wait for each other."
    ),
    "growing loses the oldest token": Report(
        "karpathy/nanochat/issues/187", "the cache grew by resize_, which leaves old numbers where new ones belong."
    ),
    "overflow is noticed one token late": Report(
        "neuralmagic/deepsparse/pull/1447", "a review: > stood where >= belongs, and a 65th token went into 64 slots."
    ),
    "overflow moves the counter before it raises": Report(
        "ggml-org/llama.cpp/pull/9525", "where decoding failed, the cells of the cache stayed as if it had not."
    ),
    "padding sets a scale": Report(
        "InternLM/lmdeploy/issues/4849",
        "lanes beyond the end of a head, read as 0, took part in its minimum and maximum.",
    ),
    "codes are packed in the wrong order": Report(
        "amd/Quark/pull/30", "of weights: packed one after the other, and read as if they were interleaved."
    ),
    "a fork shares the files": Report(
        "Avarok-Cybersecurity/atlas/issues/1193",
        "two sequences shared a block that was not full, without copy-on-write, and both wrote into it.",
    ),
    "select forgets where the padding is": Report(
        "Blaizzy/mlx-vlm/issues/1889", "filter chose rows of keys and values, but not of all that says where pads are."
    ),
    "what padding is handed is seen by a single token": Report(
        "OpenNMT/OpenNMT-py/pull/2532", "pads were masked in the first step, and in none of those after it."
    ),
}
