"""The words around the tables of `python -m minigpt memory`."""

from minigpt.measure.forms.quantized import RESIDUAL, share_of_group
from minigpt.show.words import words


def head(result: dict) -> list[str]:
    """What a model keeps of a token."""
    layers, kept = result["layers"], result["kept"].items()
    parts = " and ".join(f"{each['heads']} x {each['size']} ({name})" for name, each in kept)
    text = (
        f"{result['model']}: {layers} layers, each of which keeps {parts} numbers of a token. "
        f"In 16 bits that is {result['nbytes_per_token']:,} bytes a token."
    )
    if result["window"]:
        text += (
            f" {result['layers_with_window']} of the layers see only the last {result['window']:,} tokens: past these, "
            f"a token adds {result['nbytes_per_token_past_window']:,} bytes where only windows are kept."
        )
    made_for = result["model_context"]
    if made_for and result["context"] > made_for:
        text += f" The context below is more than the {made_for:,} that the model was made for."
    if result["memory"] is not None and result["weights"]:
        left = max(0, result["memory"] - result["weights"])
        text += (
            f" Of {words(result['memory'])} its weights take {words(result['weights'])}, which leaves {words(left)} "
            "for the cache."
        )
    return [text, ""]


def under(result: dict) -> str:
    """What the table is about."""
    rows = f"{result['batch']:,} rows of " if result["batch"] > 1 else ""
    return f"{rows}{result['context']:,} tokens:"


def foot(results: list[dict]) -> list[str]:
    """What is counted, and how."""
    sizes = {each["size"] for result in results for each in result["kept"].values()}
    groups = " and ".join(str(each) for each in sorted({share_of_group(size) for size in sizes}))
    window = any(result["window"] for result in results)
    lines = [
        "Keys and values only; on top come weights, activations, and the layer that quantized turns back into 16 bits.",
        f"Each cache{' but sliding_window' if window else ''} keeps all tokens in all layers.",
        "dynamic: the most that it can hold, just doubled (after a prompt alone: as concat).",
        "At its peak: a layer that grows is copied into a longer tensor, so for a moment both are there.",
        f"quantized: groups of {groups} numbers share a scale and an offset of 16 bits each; the newest {RESIDUAL} "
        "tokens, and the one that just came, are exact.",
        "* A prompt stays exact until the next token comes, and takes as much as in concat: feed it in chunks.",
        *(["A token more adds: bytes, fed in the same way."] if len(results) == 1 else []),
        "offloaded: two layers are here, all layers in slower memory (CPU memory beside a GPU, else files).",
    ]
    if window:
        lines.append(
            "sliding_window: fed one token at a time; chunks of c tokens need c - 1 slots more in those layers."
        )
    return [*lines, "Exact numbers: --csv, --json."]
