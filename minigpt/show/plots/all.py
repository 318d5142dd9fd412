"""All figures into a folder, and an index with what each says."""

import html
from collections.abc import Mapping
from pathlib import Path

from minigpt.show.plots.bytes_held import bytes_held, held
from minigpt.show.plots.channels import largest_channels, sizes_by_model
from minigpt.show.plots.contestants import contestants, recorded_race
from minigpt.show.plots.flops import flops, work
from minigpt.show.plots.flops_by_part import flops_by_part
from minigpt.show.plots.growth import growing_weights, growth
from minigpt.show.plots.ladder import ladder, moves
from minigpt.show.plots.models import contexts, real_models
from minigpt.show.plots.profile import profile, recorded_profile
from minigpt.show.plots.quality import quality_against_bytes
from minigpt.show.plots.quality_real import prose_against_bytes
from minigpt.show.plots.recall import recall_by_distance
from minigpt.show.plots.recall_real import recall_of_lines
from minigpt.show.plots.recorded import recorded_quality
from minigpt.show.plots.recorded_real import recorded_real
from minigpt.show.plots.redundancy import redundancy, runs
from minigpt.show.plots.ring import ring, turns
from minigpt.show.plots.sameness import repeats, sameness
from minigpt.show.plots.scales import groups_by_name, scales
from minigpt.show.plots.sent_and_saved import sent_and_saved, traffic
from minigpt.show.plots.style import THEMES, Picture
from minigpt.show.plots.time_a_token import recorded_times, time_a_token
from minigpt.show.plots.time_by_context import recorded_growth, time_by_context
from minigpt.show.plots.who_keeps_what import keepers, who_keeps_what

HOW = (
    "Drawn by `python -m minigpt figures`, each from a run, or from closed forms that equal what runs count; time and "
    "quality from the runs recorded in `minigpt/measure/recorded`, which `python -m minigpt figures --measure FILE "
    "--profile FILE`, `bench --json` and `quality` record again."
)

# name of the files: (what is drawn, how)
FIGURES = {
    "growth": (growing_weights, growth),
    "redundancy": (runs, lambda both, theme: redundancy(*both, theme=theme)),
    "sameness": (repeats, sameness),
    "flops": (work, flops),
    "flops-by-part": (work, flops_by_part),
    "time-a-token": (recorded_times, time_a_token),
    "contestants": (recorded_race, contestants),
    "profile": (recorded_profile, profile),
    "time-by-context": (recorded_growth, time_by_context),
    "bytes-held": (held, bytes_held),
    "models": (contexts, real_models),
    "ring": (turns, ring),
    "scales": (groups_by_name, scales),
    "quality": (recorded_quality, quality_against_bytes),
    "recall": (recorded_quality, recall_by_distance),
    "channels": (sizes_by_model, largest_channels),
    "quality-real": (recorded_real, prose_against_bytes),
    "recall-real": (recorded_real, recall_of_lines),
    "ladder": (moves, ladder),
    "who-keeps-what": (keepers, who_keeps_what),
    "sent-and-saved": (traffic, sent_and_saved),
}


def draw_all(folder: Path, measured: Mapping[str, object]) -> list[Path]:
    """Draw every figure into the folder, light and dark, as SVG and PNG, with an index. Returns the files.

    measured: what is drawn, by the figure's name, where it is not what the figure's own function makes or reads.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files, shown = [], {}
    for name, (measure, draw) in FIGURES.items():
        data = measured[name] if name in measured else measure()
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
    parts = [f"# Figures\n\n{HOW}\n"]
    parts += [f"## {picture.words}\n\n{markdown(name, picture)}\n" for name, picture in pictures.items()]
    return "\n".join(parts)


def markdown(name: str, picture: Picture) -> str:
    return (
        f'<picture><source media="(prefers-color-scheme: dark)" srcset="{name}-dark.svg">'
        f'<img src="{name}.svg" alt="{html.escape(picture.alt)}"></picture>'
    )
