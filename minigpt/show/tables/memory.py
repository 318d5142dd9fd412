"""The table of `python -m minigpt memory`."""

from rich import box
from rich.console import Console
from rich.table import Table

from minigpt.measure.forms.quantized import RESIDUAL, share_of_group
from minigpt.show.words import words

WIDTH = 400  # columns, room for any number: a narrower terminal wraps its lines, but no number is cut


def report(result: dict, console: Console) -> None:
    """Print what the model keeps of a token, what each cache holds of a context, and what is counted."""
    console.width = max(console.width, WIDTH)
    console.print("\n".join(head(result)), markup=False, highlight=False, soft_wrap=True)
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    table.add_column("cache", no_wrap=True)
    headings = ["bits", "bytes", "", "more at\nits peak", "a longer\ncontext adds", "in slower\nmemory"]
    if result["memory"] is not None:
        headings.append(f"longest context\nin {words(result['memory'])}")
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    for line in result["caches"]:
        peak = more(line["nbytes_peak"], line["nbytes"])
        below = words(line["nbytes_below"]) if line["nbytes_below"] else ""
        cells = [f"{line['nbytes']:,}", words(line["nbytes"]), peak, f"{line['nbytes_of_next_token']:,}", below]
        if result["memory"] is not None:
            cells.append("any" if line["longest_context"] is None else f"{line['longest_context']:,}")
        table.add_row(line["cache"], str(line["bits"]), *cells)
    console.print(table)
    console.print("\n" + "\n".join(foot(result)), markup=False, highlight=False, soft_wrap=True)


def more(peak: int | None, nbytes: int) -> str:
    """How much more than in the end is held for a moment."""
    if peak is None:
        return "*"
    return words(peak - nbytes) if peak > nbytes else ""


def head(result: dict) -> list[str]:
    layers, kept = result["layers"], result["kept"].items()
    parts = " and ".join(f"{each['heads']} x {each['size']} ({name})" for name, each in kept)
    lines = [
        f"{result['model']}: {layers} layers, each of which keeps {parts} numbers of a token.",
        f"In 16 bits that is {result['nbytes_per_token']:,} bytes a token.",
    ]
    if result["window"]:
        lines.append(
            f"{result['layers_with_window']} of the layers see only the last {result['window']:,} tokens: past these, "
            f"a token adds {result['nbytes_per_token_past_window']:,} bytes where only windows are kept."
        )
    made_for = result["model_context"]
    beyond = (
        f", more than the {made_for:,} that the model was made for" if made_for and result["context"] > made_for else ""
    )
    rows = f"{result['batch']:,} rows of " if result["batch"] > 1 else ""
    return [*lines, "", f"{rows}{result['context']:,} tokens{beyond}:", ""]


def foot(result: dict) -> list[str]:
    groups = " and ".join(
        str(each) for each in sorted({share_of_group(each["size"]) for each in result["kept"].values()})
    )
    lines = [
        "Keys and values only; on top come weights, activations, and the layer that quantized turns back into 16 bits.",
        f"Each cache{' but sliding_window' if result['window'] else ''} keeps all tokens in all layers.",
        "dynamic: the most that it can hold, just doubled (after a prompt alone: as concat).",
        "At its peak: a layer that grows is copied into a longer tensor, so for a moment both are there.",
        f"quantized: groups of {groups} numbers share a scale and an offset of 16 bits each; the newest {RESIDUAL} "
        "tokens, and the one that just came, are exact.",
        "* A prompt stays exact until the next token comes, and takes as much as in concat: feed it in chunks.",
        "A longer context adds: one token more, fed in the same way.",
        "offloaded: two layers are here, all layers in slower memory (CPU memory beside a GPU, else files).",
    ]
    if result["window"]:
        lines.append(
            "sliding_window: fed one token at a time; chunks of c tokens need c - 1 slots more in those layers."
        )
    return lines
