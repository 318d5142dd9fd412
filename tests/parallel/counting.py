"""One of several processes that say what they send, and what they generate: a line of JSON."""

import json
import sys
from pathlib import Path

import torch

from minigpt import GPT, GPTConfig, Llama, LlamaConfig, make_cache
from minigpt.cache import CACHES, CacheError, DynamicCache
from minigpt.cache.sharded import ShardedCache
from minigpt.measure.counted.sent import Sending
from minigpt.parallel import by_heads, by_positions, together
from minigpt.parallel.handover import load_cache, receive_cache, save_cache, send_cache

SIZES = {"vocab_size": 53, "context": 64, "n_layer": 2, "n_head": 4, "n_kv_head": 2, "n_embd": 32, "n_inner": 48}
ROWS, PROMPT, NEW = 3, 9, 8


def models():
    """Alike in all processes."""
    for kind, config in ((GPT, GPTConfig(**SIZES)), (Llama, LlamaConfig(**SIZES, head_size=16, qk_norm=True))):
        torch.manual_seed(0)
        model = kind(config)
        with torch.no_grad():
            for weights in model.parameters():
                weights.add_(0.2 * torch.randn_like(weights))
        yield model.eval()


def main(folder):
    torch.set_num_threads(1)
    ids = torch.randint(53, (ROWS, PROMPT), generator=torch.Generator().manual_seed(1))
    found = {"texts": {}, "sent": {}, "held": {}, "handed over": {}}
    with together() as group:
        for model in models():
            name = type(model).__name__
            found["texts"][f"{name}, whole"] = model.generate(ids, max_new_tokens=NEW).tolist()
            part, joint = by_heads(model, group), by_positions(model, group)
            for each in CACHES:
                if not (CACHES[each].needs_window or CACHES[each].lossy):
                    text = part.generate(ids, max_new_tokens=NEW, cache_implementation=each)
                    found["texts"][f"{name}, heads, {each}"] = text.tolist()
            caches = {
                "heads": (part, make_cache("dynamic", part.config, batch_size=ROWS)),
                "positions": (joint, ShardedCache(DynamicCache, model.config, ROWS, group.part, group.count, block=2)),
            }
            for way, (served, cache) in caches.items():
                with torch.inference_mode():
                    for piece in (slice(0, 8), slice(8, 9)):
                        with Sending() as sending:
                            served(ids[:, piece], cache=cache)
                        tokens = piece.stop - piece.start
                        found["sent"][f"{name}, {way}, {tokens}"] = [sending.collectives, sending.given]
                found["held"][f"{name}, {way}"] = sum(
                    each[:, : getattr(cache, "kept", cache).length].nbytes for layer in cache.kv for each in layer
                )
                cache.reset()
                text = served.generate(ids, max_new_tokens=NEW, cache=cache)
                found["texts"][f"{name}, {way}, again"] = text.tolist()
            found["handed over"] |= hand_over(model, group, ids, folder)
    print(json.dumps(found))


def hand_over(model, group, ids, folder):
    """Process 0 reads the prompt, the others go on; and what is refused."""
    name, path = type(model).__name__, Path(folder) / type(model).__name__
    if group.part == 0:
        cache = make_cache("dynamic", model.config, batch_size=ROWS)
        with torch.inference_mode():
            model(ids[:, :-1], cache=cache)
        save_cache(cache, model, path)
        for other in range(1, group.count):
            send_cache(cache, model, to=other)
        rounded = make_cache("quantized", model.config, batch_size=ROWS)
        for other in range(1, group.count):
            try:
                send_cache(rounded, model, to=other)
            except CacheError as error:
                refused = str(error)
        return {f"{name}, refused": refused}
    sent = receive_cache(model, source=0, name="static", max_cache_len=PROMPT + NEW)
    try:
        receive_cache(model, source=0)
    except CacheError as error:
        refused = str(error)
    texts = [model.generate(ids, max_new_tokens=NEW, cache=each).tolist() for each in (sent, load_cache(path, model))]
    return {f"{name}, sent": texts[0], f"{name}, from a file": texts[1], f"{name}, refused": refused}


if __name__ == "__main__":
    main(*sys.argv[1:])
