"""Caches that keep tokens in blocks: in nested lists of tensors, and in a pool with a table (Kwon et al., arXiv
2309.06180, section 4.1). Each with its closed form, and a bug that looks right as long as there is one block."""

import torch

from minigpt.cache import Cache
from minigpt.measure.forms.caches import Form

SLOTS = 16  # of a block


def blocks_for(tokens: int) -> int:
    return -(-tokens // SLOTS)


class ListedCache(Cache):
    """kv[layer] is two lists of blocks, each (B, SLOTS, K, D)."""

    def store(self, k, v, layer):
        wanted = range(len(self.kv[layer][0]), blocks_for(self.length))
        more = [[self.shelf(self.batch_size, layer) for _ in wanted] for _ in (k, v)]
        self.kv[layer] = tuple(kept + new for kept, new in zip(self.kv[layer], more, strict=True))
        for kept, new in zip(self.kv[layer], (k, v), strict=True):
            for at, one in zip(self.text.arrivals.tolist(), new.unbind(1), strict=True):
                kept[at // SLOTS][:, at % SLOTS] = one
        keys, values = (torch.cat(kept, dim=1)[:, : self.length] for kept in self.kv[layer])
        return keys, values, self.positions

    def slots(self, layer):
        return SLOTS

    def shelf(self, rows, layer):
        with torch.inference_mode(False):
            return super().shelf(rows, layer)

    def cropped(self, left):
        kv = [tuple(kept[: blocks_for(left)] for kept in layer) for layer in self.kv]
        return super().cropped(left) | {"kv": kv}

    def selected(self, rows):
        kv = [tuple([block[rows] for block in kept] for kept in layer) for layer in self.kv]
        return {"text": self.text.select(rows), "kv": kv}

    def empty(self, rows):
        return super().empty(rows) | {"kv": [([], []) for _ in range(self.config.n_layer)]}

    def here(self, layer):
        return [block for kept in self.kv[layer] for block in kept]

    room = property(lambda self: SLOTS * max(len(keys) for keys, _ in self.kv))


class ForgetsTheLast(ListedCache):
    def selected(self, rows):
        new, last = super().selected(rows), self.kv[-1][1][-1:]
        for _, values in new["kv"][-1:]:
            values[len(values) - len(last) :] = [block[rows.sort().values] for block in last]
        return new


class PagedCache(Cache):
    """kv[layer] is two pools of blocks, (blocks, SLOTS, K, D) each. table (B, n): the numbers of each row's blocks."""

    def store(self, k, v, layer):
        if layer == 0:
            self.take_blocks()
        self.kv[layer] = tuple(at_least(int(self.table.max()) + 1, pool) for pool in self.kv[layer])
        block, slot = self.table[:, self.text.arrivals // SLOTS], self.text.arrivals % SLOTS
        for pool, new in zip(self.kv[layer], (k, v), strict=True):
            pool[block, slot] = new
        keys, values = (pool[self.table].flatten(1, 2)[:, : self.length] for pool in self.kv[layer])
        return keys, values, self.positions

    def take_blocks(self):
        """Those with the lowest numbers that no row has."""
        wanted = blocks_for(self.length) - self.table.shape[1]
        free = sorted({*range(self.batch_size * blocks_for(self.length))} - {*self.table.flatten().tolist()})
        taken = torch.tensor(free[: self.batch_size * wanted], dtype=torch.int64).view(wanted, self.batch_size)
        self.table = torch.cat([self.table, taken.T], dim=1)

    def shelf(self, rows, layer):
        return super().shelf(rows, layer).new_zeros(0, SLOTS, self.config.n_kv_head, self.config.head_size)

    def cropped(self, left):
        return super().cropped(left) | {"table": self.table[:, : blocks_for(left)]}

    def selected(self, rows):
        """The rows' blocks, in a pool of their own."""
        blocks = self.table[rows]
        kv = [tuple(pool[blocks.flatten()] for pool in layer) for layer in self.kv]
        return {"text": self.text.select(rows), "kv": kv, "table": torch.arange(blocks.numel()).view(blocks.shape)}

    def empty(self, rows):
        return super().empty(rows) | {"table": torch.zeros(rows, 0, dtype=torch.int64)}

    def state(self):
        return [*super().state(), self.table]

    room = property(lambda self: SLOTS * max(len(keys) for keys, _ in self.kv) // self.batch_size)


class NextRowsBlock(PagedCache):
    def take_blocks(self):
        super().take_blocks()
        self.table = torch.cat([self.table[:, :1], self.table[:, 1:].roll(1, 0)], dim=1)


def at_least(blocks, pool):
    if blocks <= len(pool):
        return pool
    with torch.inference_mode(False):
        longer = pool.new_zeros(blocks, *pool.shape[1:])
    longer[: len(pool)] = pool
    return longer


def listed(at):
    return at.kept(SLOTS * blocks_for(at.end))


def paged(at):
    past, end = (SLOTS * blocks_for(tokens) for tokens in (at.past, at.end))
    return at.kept(end, copied=past * at.row if end > past else 0)


BLOCKS = {  # name: the cache, its closed form, what goes wrong in its bug, and the bug
    "listed": (ListedCache, Form(listed), "select forgets the last listed block of values", ForgetsTheLast),
    "paged": (PagedCache, Form(paged, recopies=True), "a paged row is given another row's block", NextRowsBlock),
}
