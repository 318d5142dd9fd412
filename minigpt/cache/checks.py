"""What a cache refuses, and in which words. Whatever is refused has changed nothing."""

import torch
from torch import Tensor

from minigpt.attention import NEVER
from minigpt.cache.errors import CacheError, CacheFull, described

MATCHING = "make_cache(..., dtype=model.dtype, device=model.device)"  # what to do


def serve(cache, model, batch_size: int) -> None:
    if model.training or torch.is_grad_enabled():
        what = "the model is in training mode" if model.training else "gradients are on"
        raise CacheError(
            f"this cache is for inference, and {what}: what it keeps from earlier calls was computed without "
            "gradients, and carries none. Call model.eval() and use torch.no_grad(), or train without a cache"
        )
    if model.config != cache.config:
        raise CacheError(f"the cache was made for {cache.config}, not for this model's {model.config}")
    if (model.dtype, model.device) != (cache.dtype, cache.device):
        kept, computed = f"{cache.dtype} on {cache.device}", f"{model.dtype} on {model.device}"
        raise CacheError(f"the cache keeps {kept}, the model is {computed}: {MATCHING}")
    rows(cache, batch_size)
    finished(cache)
    if cache.length and cache.weights is not None and cache.weights() is not next(model.parameters()):
        filled = "the cache was filled by another model of the same sizes, and its keys and values are not this one's"
        raise CacheError(f"{filled}; reset() it, or make a cache for each model")


def rows(cache, batch_size: int) -> None:
    if batch_size != cache.batch_size:
        advice = f"make_cache(..., batch_size={batch_size}), or select(rows)"
        raise CacheError(f"the cache was made for batch_size {cache.batch_size}, got {batch_size} rows: {advice}")


def finished(cache, instead: str = "") -> None:
    """Refuse if the last pass did not reach all layers, or if another verb was interrupted."""
    if cache.in_a_pass:
        stopped = f"the last forward pass stopped after {cache.layers_written} of {cache.config.n_layer} layers"
        raise CacheError(f"{instead}{stopped}: crop(-{cache.text.new}) takes its tokens back")
    if cache.unfinished:
        raise CacheError(f"{cache.unfinished} was interrupted: call reset()")


def admit(cache, positions: Tensor | None, ids: Tensor | None) -> None:
    finished(cache)
    given = {name: each for name, each in (("positions", positions), ("ids", ids)) if each is not None}
    if not given:
        raise CacheError("admit wants positions, or ids that go on from what is there, or both; got neither")
    for name, each in given.items():
        if not isinstance(each, Tensor) or each.ndim != 2 or each.dtype != torch.int64 or not each.numel():
            raise CacheError(f"{name} must be int64 of shape (B, T), got {described(each)}")
        rows(cache, len(each))
    if ids is not None and positions is not None and ids.shape != positions.shape:
        raise CacheError(f"ids must have the shape of positions, {tuple(positions.shape)}, got {tuple(ids.shape)}")
    new, most, slots = next(iter(given.values())).shape[1], cache.largest_chunk, cache.capacity
    if most is not None and new > most:
        advice = f"feed them in pieces, or make_cache(..., chunk={new})"
        raise CacheError(f"{new} tokens at once, the ring has slack for {most}: {advice}")
    if slots is not None and cache.length + new > slots:
        raise CacheFull(f"needs {cache.length + new} slots, has {slots}: raise max_cache_len")
    if positions is not None:
        rising(cache, positions)


def rising(cache, positions: Tensor) -> None:
    """Positions must go on from what is there: padding first, then rising."""
    nothing = positions.new_full((len(positions), 1), NEVER)
    before = torch.cat([cache.positions[:, -1:] if cache.length else nothing, positions[:, :-1]], dim=1)
    last = NEVER - 1 if cache.keeps else NEVER  # padding may come last where nothing can go on behind it
    # NEVER before: so far there was only padding, and more may follow.
    right = (before == NEVER) & (positions >= 0) & (positions <= NEVER) | (before < positions) & (positions <= last)
    if not right.all():
        row, due = positions[~right.all(1)][0].tolist(), torch.as_tensor(cache.next_position).flatten().tolist()
        rule = "positions must rise along each row, after left padding and after what the cache holds"
        raise CacheError(f"{rule} (next: {due}), got {row}")


def update(cache, k: Tensor, v: Tensor, layer: int) -> None:
    """Keys and values come layer after layer, in the shape and dtype that the cache keeps."""
    if not cache.in_a_pass or layer != cache.layers_written:
        due = f"layer {cache.layers_written}" if cache.in_a_pass else "admit"
        raise CacheError(f"update for layer {layer} out of turn: {due} comes next")
    shape = cache.batch_size, cache.text.new, cache.config.n_kv_head, cache.config.head_size
    for new in (k, v):
        right = isinstance(new, Tensor) and new.shape == shape and new.dtype == cache.dtype
        if not right or new.device != cache.device:
            wanted, got = f"{shape} {cache.dtype} on {cache.device}", described(new)
            refuse_chunk(cache, f"the cache keeps {wanted}, got {got}: {MATCHING}")


def refuse_chunk(cache, message: str) -> None:
    """Raise; where no layer has kept any of the chunk yet, it is as if it had never been admitted."""
    if not cache.layers_written:
        cache.take_back()
    raise CacheError(message)


def crop(cache, count: int) -> None:
    if not isinstance(count, int) or isinstance(count, bool) or count > 0:
        keep = "to keep the first n, crop(n - cache.length)"
        raise CacheError(f"crop({count!r}): crop(-n) takes the last n tokens back; {keep}")
    if -count > cache.length:
        raise CacheError(f"crop({count}): the cache holds only {cache.length} tokens")
    if cache.keeps and -count < cache.text.new:
        finished(cache, f"crop({count}) would keep part of an unfinished chunk: ")


def row_numbers(cache, chosen) -> Tensor:
    """The rows that `select` wants, as a tensor."""
    finished(cache)
    try:
        numbers = torch.as_tensor(chosen, device=cache.device)
    except (TypeError, ValueError, RuntimeError):
        numbers = torch.empty(0)
    if numbers.ndim != 1 or numbers.dtype != torch.int64 or not len(numbers):
        raise CacheError(f"select wants a list of row numbers, got {chosen!r}")
    if numbers.min() < 0 or numbers.max() >= cache.batch_size:
        raise CacheError(f"select({numbers.tolist()}): this cache has rows 0 to {cache.batch_size - 1}")
    return numbers
