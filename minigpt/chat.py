"""A message as a model that was taught to converse reads it: in the chat template of its files."""

from collections.abc import Iterator
from pathlib import Path

from jinja2.sandbox import ImmutableSandboxedEnvironment

from minigpt.model_files import LARGEST_JSON, ModelFileError, check_file, read_json

TEMPLATE, SETTINGS = "chat_template.jinja", "tokenizer_config.json"
TOKENS = "bos_token", "eos_token"  # by these names a template knows them


def chat_prompt(folder: Path, message: str) -> str:
    """The text after which the model answers a user's message. Its special tokens are in it.

    The template is a small program of whoever made the files: it runs in jinja2's sandbox, as in transformers.
    Raises ModelFileError where there is none, or it can't be filled.
    """
    settings = read_json(folder / SETTINGS) if (folder / SETTINGS).exists() else {}
    template = settings.get("chat_template")
    if (folder / TEMPLATE).exists():
        check_file(folder / TEMPLATE, LARGEST_JSON)
        template = (folder / TEMPLATE).read_text(encoding="utf-8")
    if not isinstance(template, str):
        raise ModelFileError(
            f"{folder}: no chat template, neither {TEMPLATE} nor in {SETTINGS}: this model only continues a text"
        )
    known = {"messages": [{"role": "user", "content": message}], "add_generation_prompt": True}
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    try:
        return environment.from_string(template).render(known, **dict(special_tokens(settings)))
    except Exception as error:  # whatever that program raises
        raise ModelFileError(f"{folder}: its chat template can't be filled ({error})") from error


def special_tokens(settings: dict) -> Iterator[tuple[str, str]]:
    """As they are written; some files describe them by a dict."""
    for name in TOKENS:
        match settings.get(name):
            case str(token) | {"content": str(token)}:
                yield name, token
