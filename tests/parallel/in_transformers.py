"""One of several processes that run a model of transformers which transformers has cut, with caches of ours:
`in_transformers.py FOLDER`. Prints what differed from the whole model, and a line of JSON."""

import json
import sys
import warnings

import torch
import torch.distributed as dist
from transformers import AutoModelForCausalLM

from minigpt.interop import cache_for, config_of
from minigpt.parallel import together

NAMES = "dynamic", "static", "offloaded", "offloaded_static"
CHUNKS = 5, 1, 3, 1
NEW = 8


@torch.no_grad()
def main(folder):
    torch.set_num_threads(1)
    ids = torch.randint(61, (3, sum(CHUNKS)), generator=torch.Generator().manual_seed(1))
    mask = torch.ones_like(ids)
    mask[1, :2] = 0  # left padding
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    whole = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64).eval()
    want = whole(ids, attention_mask=mask, position_ids=positions, use_cache=False).logits[mask.bool()]
    how = {"attention_mask": mask, "max_new_tokens": NEW, "do_sample": False, "pad_token_id": 0}
    text = whole.generate(ids, use_cache=False, **how)
    found = {"off": {}, "same text": {}, "nbytes": {}}
    with together():
        warnings.simplefilter("ignore", FutureWarning)  # of tp_plan, which is to move into a DistributedConfig
        part = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64, tp_plan="auto").eval()
        config = config_of(part)
        found["heads"] = [config_of(whole).n_kv_head, config.n_kv_head]
        for name in NAMES:
            cache, end, logits = cache_for(part, name), 0, []
            for size in CHUNKS:
                piece, end = slice(end, end + size), end + size
                told = {"attention_mask": mask[:, :end], "position_ids": positions[:, piece]}
                logits.append(part(ids[:, piece], cache=cache, **told).logits)
            found["off"][name] = float((torch.cat(logits, 1)[mask.bool()] - want).abs().max())
            found["nbytes"][name] = cache.cache.nbytes // cache.cache.room // cache.cache.batch_size
            generated = part.generate(ids, cache=cache_for(part, name), **how)
            found["same text"][name] = torch.equal(generated, text)
        found["several"] = dist.get_world_size()
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
