"""The page as one HTML file: its markup, with the styles, the scripts and the data put in."""

import hashlib
import json
from base64 import b64encode
from pathlib import Path
from string import Template
from typing import Any

from minigpt.page import data
from minigpt.page.bundle import bundle
from minigpt.show.in_html import inside_html
from minigpt.show.plots.style import DARK, LIGHT, LOOKS

HERE = Path(__file__).parent
COLOURS = "paper", "ink", "muted", "faint", "empty", "blue", "vermillion", "green", "purple"

POLICY = (  # by which a browser refuses to fetch anything, and to run any script but this page's own
    "default-src 'none'; base-uri 'none'; form-action 'none'; worker-src blob:; style-src 'unsafe-inline'; "
    "script-src 'sha256-{}'"
)


def page() -> str:
    """The whole page. The same modules and data give the same text, to the byte."""
    model = data.model()
    script = "\n" + inside_html(bundle(HERE / "shell" / "app.mjs"))
    return Template(own("page.html")).substitute(
        policy=POLICY.format(b64encode(hashlib.sha256(script.encode()).digest()).decode()),
        style="".join([colours(), own("page.css"), *map(own, sorted(HERE.glob("scenes/*.css")))]),
        script=script,
        worker=inside_html(bundle(HERE / "engine" / "worker.mjs")),
        data=as_json({"config": model["config"]} | data.scenes()),
        model=as_json(model),
    )


def colours() -> str:
    """Those of the figures, as variables: each has a light and a dark tone. A cache has its figure's colour."""
    tones = [f"--{name}: light-dark({getattr(LIGHT, name)}, {getattr(DARK, name)});" for name in COLOURS]
    caches = [f"--{cache}: var(--{colour});" for cache, (colour, *_) in LOOKS.items()]
    return ":root {\n  " + "\n  ".join(tones + caches) + "\n}\n"


def as_json(value: Any) -> str:
    """In a script element nothing may look like its end."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")


def own(name: str | Path) -> str:
    return (HERE / name).read_text(encoding="utf-8")
