"""Opens what the arguments name: the model, the prompt, the caches."""

import os

SMALL = 10_000_000  # parameters; below, threads wait for each other longer than they work


def open_model(options):
    """The model of the command line, and the folder that it came from."""
    import torch

    from minigpt.loading import load
    from minigpt.pretrained import model_folder

    check_window(options)
    model = load(options.model, dtype=getattr(torch, options.dtype), device=options.device)
    return fitted(model, options), model_folder(options.model)


def check_window(options) -> None:
    """To be called before a model is loaded, which takes a while."""
    if options.sinks and not options.window:
        raise ValueError(f"--sinks {options.sinks} are kept beside a window: add --window N")
    if options.streaming and not options.window:
        raise ValueError("--streaming counts positions within a window: add --window N")


def fitted(model, options):
    """The model with the window of the command line; and torch with as many threads as are good for it."""
    import torch

    if options.window:
        model = model.with_window(options.window, options.sinks, options.streaming)
    small = sum(parameter.numel() for parameter in model.parameters()) < SMALL
    if options.threads or small:
        torch.set_num_threads(options.threads or 1)
    return model


def workers(options) -> int:
    """How many computations may run side by side, each with torch's threads, and all with those of the command line,
    or one for each CPU."""
    import torch

    return max(1, (options.threads or os.cpu_count() or 1) // torch.get_num_threads())


def open_prompt(options, model, folder):
    """The tokenizer, and the prompt as (1, T) ids."""
    import torch

    from minigpt.chat import chat_prompt
    from minigpt.pretrained import load_tokenizer

    tokenizer = load_tokenizer(folder)
    try:
        options.prompt.encode()
    except UnicodeEncodeError as error:
        raise ValueError("the prompt is not UTF-8 text") from error
    if options.chat:  # the template names the special tokens itself
        ids = tokenizer.encode(chat_prompt(folder, options.prompt), add_special_tokens=False).ids
    else:
        ids = tokenizer.encode(options.prompt).ids
    if not ids:
        raise ValueError("the prompt is empty: give at least one character")
    context = model.config.longest
    room = context + 1 - len(ids)  # the last new token is never fed
    if options.new_tokens > room:
        raise ValueError(
            f"the prompt is {len(ids)} tokens and the context is {context}: --new-tokens can be {max(0, room)} "
            f"at most, got {options.new_tokens}"
        )
    return tokenizer, torch.tensor([ids], dtype=torch.int64, device=model.device)


def check_knows_questions(model) -> None:
    """Memory questions are texts of the bundled model: another must have its vocabulary, and room for them."""
    from minigpt.recall.corpus import VOCABULARY
    from minigpt.recall.questions import LENGTH

    config = model.config
    if config.vocab_size != VOCABULARY or config.longest < LENGTH:
        raise ValueError(
            f"memory questions are {LENGTH} tokens of a vocabulary of {VOCABULARY}, and this model has a context of "
            f"{config.context} and a vocabulary of {config.vocab_size}: ask recall, or a model that `train` made"
        )


def cache_names(wanted: list[str] | None) -> list[str]:
    """Each wanted cache once (None: all caches)."""
    from minigpt.cache import CACHES

    return [cache_name(name) for name in dict.fromkeys(wanted or CACHES)]


def cache_name(wanted: str) -> str:
    from minigpt.cache import CACHES

    if wanted not in CACHES:
        several = ", with spaces between several" if "," in wanted else ""
        raise ValueError(f"no cache is named {wanted}; there are {', '.join(CACHES)}{several}")
    return wanted
