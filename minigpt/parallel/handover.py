"""Prefill here, decode there: a cache as bytes, in a file or sent to another process, and a cache filled from them.

What is handed over is the text, and what each layer holds of it. The cache that takes it in is fed by `admit` and
`update`, as by a model, so it may be of another kind: a dynamic one here, a static one there.
"""

from pathlib import Path

import torch
import torch.distributed as dist
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from minigpt.attention import NEVER
from minigpt.cache import CacheError, KVCache
from minigpt.cache.base import Cache
from minigpt.cache_arguments import new_cache
from minigpt.language_model import LanguageModel
from minigpt.model_files import check_file
from minigpt.parallel.processes import number_of


def save_cache(cache: Cache, model: LanguageModel, path: str | Path) -> None:
    """Write the text and its keys and values to a file of safetensors; the whole file, or none. model: the one that
    filled the cache. Raises CacheError for a cache that rounds, for a part of one, and in the middle of a pass."""
    path = Path(path)
    part = path.with_name(f"{path.name}.part")
    try:
        part.write_bytes(packed(cache, model))
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def load_cache(path: str | Path, model: LanguageModel, name: str = "dynamic", **options) -> KVCache:
    """A cache of that name (see `make_cache`), filled from a file. Raises CacheError if another model filled it, and
    ModelFileError or CacheError for what is no such file."""
    check_file(Path(path))
    return unpacked(Path(path).read_bytes(), model, name, options)


def send_cache(cache: Cache, model: LanguageModel, to: int) -> None:
    """Send it to the process of that number, which must call `receive_cache`. What is refused is told to it as well."""
    try:
        content = packed(cache, model)
    except CacheError:
        dist.send(torch.tensor([-1]), to)
        raise
    dist.send(torch.tensor([len(content)]), to)
    dist.send(torch.frombuffer(bytearray(content), dtype=torch.uint8), to)


def receive_cache(model: LanguageModel, source: int, name: str = "dynamic", **options) -> KVCache:
    """A cache of that name, filled with what the process of that number sends. Raises CacheError if another model
    filled it."""
    size = torch.zeros(1, dtype=torch.int64)
    dist.recv(size, source)
    if size < 0:
        raise CacheError(f"process {source} has refused to send its cache: its own message says why")
    content = torch.empty(int(size), dtype=torch.uint8)
    dist.recv(content, source)
    return unpacked(content.numpy().tobytes(), model, name, options)


def packed(cache: Cache, model: LanguageModel) -> bytes:
    """The text of a cache, and for each layer the keys and values that it holds, with their positions."""
    if not isinstance(cache, Cache) or model.part_of[1] > 1:
        raise CacheError(f"only a cache of this package that keeps the whole text can be handed over, not {cache!r}")
    with torch.no_grad():
        cache.serve(model, cache.batch_size)  # refuses another model, and a pass that has stopped
    if cache.lossy:
        raise CacheError("a cache that rounds can't be handed over, since it would be rounded again: feed it the text")
    tensors = {"model": torch.tensor([number_of(model)]), "ids": cache.ids, "text": cache.positions}
    for layer in range(cache.config.n_layer):
        keys, values, *ring = cache.tensors(layer)
        slots = ring[0].shape[1] if ring else cache.length
        tensors |= {f"{layer}.keys": keys[:, :slots], f"{layer}.values": values[:, :slots]}
        tensors |= {f"{layer}.positions": each for each in ring}
    tensors |= {name: torch.tensor(getattr(cache, name)) for name in cache.beside}
    return save({name: each.contiguous().cpu() for name, each in tensors.items()})


@torch.no_grad()
def unpacked(content: bytes, model: LanguageModel, name: str, options: dict) -> KVCache:
    """A new cache that has taken all of it in, for the model that had filled it."""
    try:
        tensors = {name: each.to(model.device) for name, each in load(content).items()}
        filled_by, ids, positions = tensors["model"], tensors["ids"], tensors["text"]
    except (SafetensorError, KeyError) as error:
        raise CacheError(f"this is no cache that save_cache has written ({error})") from error
    if int(filled_by) != number_of(model):
        raise CacheError("the cache was filled by another model, and its keys and values are not this one's")
    length, room = ids.shape[1], max(1, ids.shape[1])
    cache = new_cache(model, len(ids), room, name, options)
    if not cache.keeps:
        raise CacheError(f"a {name} cache keeps nothing, so it can't take in what was kept: name another")
    cache.serve(model, len(ids))
    for layer in range(model.config.n_layer):
        held, (_, _, *ring) = tensors.get(f"{layer}.positions"), cache.tensors(layer)
        if held is not None and [held.shape] != [each.shape for each in ring]:
            raise CacheError(
                f"layer {layer} was a ring of {held.shape[1]} slots, which has forgotten what stood in them before: "
                "only a sliding_window cache with the same chunk can go on as it would"
            )
    step = cache.largest_chunk or room
    places = positions.masked_fill(positions == NEVER, -1)  # rising along each row
    shelves = [
        [in_order(tensors[f"{layer}.{what}"], tensors.get(f"{layer}.positions"), places) for what in ("keys", "values")]
        for layer in range(model.config.n_layer)
    ]
    for first in range(0, length, step):
        chunk = slice(first, min(first + step, length))
        cache.admit(positions[:, chunk], ids[:, chunk])
        for layer, (keys, values) in enumerate(shelves):
            cache.update(keys[:, chunk], values[:, chunk], layer)
    cache.become(**{name: tensors[name].tolist() for name in cache.beside if name in tensors})
    return cache


def in_order(slots: Tensor, held: Tensor | None, places: Tensor) -> Tensor:
    """A layer's slots (B, S, K, D) in the order of the text's tokens, zeros for those that it has forgotten.

    held: (B, S), the position of each slot of a ring (None: no ring). places: (B, T), those of the text, padding at -1.
    """
    if held is None:
        return slots
    there = held != NEVER
    tokens = torch.searchsorted(places, held.masked_fill(~there, 0))
    tokens = tokens.masked_fill(~there, places.shape[1])  # where nothing is held: one too far, and cut off
    text = slots.new_zeros(len(slots), places.shape[1] + 1, *slots.shape[2:])
    text[torch.arange(len(slots), device=slots.device)[:, None], tokens] = slots
    return text[:, :-1]
