"""All figures into a folder, and an index with what each says."""

import html
from pathlib import Path

from minigpt.show.plots.flops import flops, flops_by_part, work
from minigpt.show.plots.groups import groups_by_name, scales
from minigpt.show.plots.held import bytes_held, held
from minigpt.show.plots.models import contexts, real_models
from minigpt.show.plots.moves import ladder, moves
from minigpt.show.plots.recall import quality_against_bytes, recall_by_distance, recorded_scores
from minigpt.show.plots.repeats import repeats, sameness
from minigpt.show.plots.rows import redundancy, runs
from minigpt.show.plots.speed import recorded_pace, time_a_token
from minigpt.show.plots.style import THEMES, Picture
from minigpt.show.plots.triangles import growing_weights, growth
from minigpt.show.plots.turns import ring, turns

# name of the files: (what is drawn, how)
FIGURES = {
    "redundancy": (runs, lambda both, theme: redundancy(*both, theme=theme)),
    "sameness": (repeats, sameness),
    "growth": (growing_weights, growth),
    "bytes-held": (held, bytes_held),
    "ring": (turns, ring),
    "scales": (groups_by_name, scales),
    "ladder": (moves, ladder),
    "flops": (work, flops),
    "flops-by-part": (work, flops_by_part),
    "time-a-token": (recorded_pace, time_a_token),
    "quality": (recorded_scores, quality_against_bytes),
    "recall": (recorded_scores, recall_by_distance),
    "models": (contexts, real_models),
}


def draw_all(folder: Path) -> list[Path]:
    """Draw every figure into the folder, light and dark, as SVG and PNG, with an index. Returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    files, shown = [], {}
    for name, (measure, draw) in FIGURES.items():
        data = measure()
        for theme in THEMES:
            picture = draw(data, theme=theme)
            for kind in ("svg", "png"):
                files.append(folder / f"{name}{theme.suffix}.{kind}")
                picture.save(files[-1], kind)
        shown[name] = picture
    files.append(folder / "README.md")
    files[-1].write_text(index(shown), encoding="utf-8", newline="\n")
    return files


def index(pictures: dict[str, Picture]) -> str:
    """Markdown: each figure under its title, dark where the reader's page is."""
    parts = ["# Figures\n\nDrawn by `python -m minigpt figures`, each from a run.\n"]
    parts += [f"## {picture.words}\n\n{markdown(name, picture)}\n" for name, picture in pictures.items()]
    return "\n".join(parts)


def markdown(name: str, picture: Picture) -> str:
    return (
        f'<picture><source media="(prefers-color-scheme: dark)" srcset="{name}-dark.svg">'
        f'<img src="{name}.svg" alt="{html.escape(picture.alt)}"></picture>'
    )
