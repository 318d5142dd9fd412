"""What every cache and setting keeps of a model's quality, measured once and recorded."""

from pathlib import Path

from minigpt.commands import EXIT_OK
from minigpt.commands.arguments import add_model, add_seed, count
from minigpt.commands.out import check_file

SUMMARY = "measure recall, bits per byte and rounding errors of every cache and setting (twenty minutes or more)"


def declare(command):
    add_model(command)
    command.add_argument("--questions", type=count, default=25, metavar="N", help="for each distance (%(default)s)")
    add_seed(command, 303, "of the questions (%(default)s)")
    command.add_argument(
        "--out", type=Path, default=Path("quality.json"), metavar="FILE", help="where to (%(default)s)"
    )


def run(options) -> int:
    from minigpt.commands.opening import check_knows_questions, open_model, workers
    from minigpt.measure.quality.recording import record
    from minigpt.show.tables.quality import report_recording
    from minigpt.show.terminal import Terminal

    check_file(options.out)
    model, _ = open_model(options)
    check_knows_questions(model)
    console = Terminal()
    recording = record(
        options.model,
        model,
        options.questions,
        options.seed,
        lambda score: console.print(f"{score.setting.name}: {100 * score.recall:.1f}% right", highlight=False),
        workers(options),
    )
    recording.save(options.out)
    report_recording(recording, console)
    console.print(str(options.out), highlight=False)
    return EXIT_OK
