"""The page: the bundled model in a browser tab, in one file."""

from pathlib import Path

from minigpt.commands import EXIT_OK
from minigpt.commands.out import check_file, file, write

SUMMARY = "write the page that runs the model in a browser tab, with a cache and without; no network needed"


def declare(command):
    command.add_argument(
        "--out", type=file, default=Path("figures/page.html"), metavar="FILE", help="the page (%(default)s)"
    )


def run(options) -> int:
    from minigpt.page.build import page

    check_file(options.out)
    write(page(), options.out)
    print(f"{options.out}: {options.out.stat().st_size / 1e6:.2f} MB")
    say_of_the_engine()
    say_of_the_browser(options.out)
    return EXIT_OK


def say_of_the_engine() -> None:
    import torch

    from minigpt.page import node
    from minigpt.page.measured import NEW, PROMPTS, measured

    if not node.there():
        print("engine not measured: there is no `node` on the path (the page itself needs none)")
        return
    torch.set_num_threads(1)  # the bundled model is small: more would wait for each other
    found = measured()
    print(f"largest difference of a logit to torch's, behind {PROMPTS} prompts: {found.difference:.1e}")
    rates = f"{found.cached:.0f} with a cache, {found.uncached:.1f} without"
    print(f"tokens a second over {NEW} tokens, by Node on one core: {rates}")


def say_of_the_browser(out: Path) -> None:
    from minigpt.page import browser

    if why := browser.missing():
        print(f"first paint not measured: {why}")
        return
    found = browser.measured(out)
    print(f"first paint: {found['first_paint_ms']:.0f} ms; longest task: {found['longest_task_ms']:.0f} ms")
