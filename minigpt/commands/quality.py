"""What every cache and setting keeps of a model's quality, measured once and recorded."""

from pathlib import Path

from minigpt.commands import EXIT_OK
from minigpt.commands.arguments import add_model, add_questions, add_seed, count
from minigpt.commands.out import check_file

SUMMARY = "measure recall, bits per byte and rounding errors of every cache and setting (twenty minutes or more)"
QUESTIONS, PASSAGES = 25, 7  # unless told otherwise; as many passages as the play has


def declare(command):
    add_model(command)
    add_questions(command, QUESTIONS, least=1, of="of the bundled model, at each distance")
    plain = "any other model reads passages of 4,000 tokens in plain English, under each setting"
    command.add_argument("--passages", type=count, default=PASSAGES, metavar="N", help=f"{plain} (%(default)s)")
    add_seed(command, 303, "of the questions (%(default)s)")
    command.add_argument(
        "--out", type=Path, default=Path("quality.json"), metavar="FILE", help="the recording (%(default)s)"
    )


def run(options) -> int:
    from minigpt.commands.opening import open_model
    from minigpt.recall.corpus import VOCABULARY
    from minigpt.show.terminal import Terminal

    check_file(options.out)
    model, folder = open_model(options)
    console = Terminal()
    if model.config.vocab_size == VOCABULARY:
        taught(options, model, console)
    else:
        in_plain_english(options, model, folder, console)
    console.print(str(options.out), highlight=False)
    return EXIT_OK


def taught(options, model, console) -> None:
    """A model that `train` made, asked as it was taught."""
    from minigpt.commands.opening import check_knows_questions, workers
    from minigpt.measure.quality.recording import record
    from minigpt.show.tables.quality import report_recording

    check_knows_questions(model)
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


def in_plain_english(options, model, folder, console) -> None:
    """Any other. The file is written after each passage, and gone on with if the command is given again."""
    from minigpt.measure.quality.real_recording import record
    from minigpt.measure.quality.real_settings import REAL_SETTINGS
    from minigpt.pretrained import load_tokenizer
    from minigpt.show.tables.quality_real import report_real

    console.print(
        f"{options.passages} passages under each of {len(REAL_SETTINGS)} settings. {options.out} is saved after each "
        "reading: if this is interrupted, the same command continues.",
        highlight=False,
    )
    recording = record(
        folder.name,
        model,
        load_tokenizer(folder),
        options.passages,
        options.seed,
        options.out,
        lambda setting: console.print(f"read: {setting.name}", highlight=False),
    )
    report_real(recording, console)
