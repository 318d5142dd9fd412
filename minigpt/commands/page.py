"""The page: the bundled model in a browser tab, in one file."""

from pathlib import Path

from minigpt.commands import EXIT_OK
from minigpt.commands.out import check_file, write

SUMMARY = "write the page that runs the model in a browser tab, with a cache and without; no network needed"


def declare(command):
    command.add_argument(
        "--out", type=Path, default=Path("figures/page.html"), metavar="FILE", help="the page (%(default)s)"
    )


def run(options) -> int:
    import torch

    from minigpt.page import node
    from minigpt.page.build import page
    from minigpt.page.measured import NEW, PROMPTS, measured

    torch.set_num_threads(1)  # the bundled model is small: more would wait for each other
    check_file(options.out)
    write(page(), options.out)
    print(f"{options.out}: {options.out.stat().st_size / 1e6:.2f} MB")
    if not node.there():
        print("not measured: there is no `node` on the path (the page itself needs none)")
        return EXIT_OK
    found = measured()
    print(f"largest difference of a logit to torch's, behind {PROMPTS} prompts: {found.difference:.1e}")
    rates = f"{found.cached:.0f} with a cache, {found.uncached:.1f} without"
    print(f"tokens a second over {NEW} tokens, by Node on one core: {rates}")
    return EXIT_OK
