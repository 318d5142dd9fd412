"""A cache that wraps a cache: the same verbs, passed on. An observer overrides the ones it wants to see."""

from minigpt.cache import KVCache


class Observer(KVCache):
    """Does what the wrapped cache does. newest: (B, T), the positions of the tokens that came in the last pass."""

    def __init__(self, cache: KVCache):
        self.cache = cache

    length = property(lambda self: self.cache.length)
    next_position = property(lambda self: self.cache.next_position)
    plain = property(lambda self: self.cache.plain)
    positions = property(lambda self: self.cache.positions)
    ids = property(lambda self: self.cache.ids)
    capacity = property(lambda self: self.cache.capacity)
    nbytes = property(lambda self: self.cache.nbytes)
    resident_nbytes = property(lambda self: self.cache.resident_nbytes)
    moved = property(lambda self: self.cache.moved)
    room = property(lambda self: self.cache.room)
    keeps = property(lambda self: self.cache.keeps)
    largest_chunk = property(lambda self: self.cache.largest_chunk)
    needs_window = property(lambda self: self.cache.needs_window)
    lossy = property(lambda self: self.cache.lossy)

    def here(self, layer):
        return self.cache.here(layer)

    def serve(self, model, batch_size):
        self.cache.serve(model, batch_size)

    def admit(self, positions, ids=None):
        self.cache.admit(positions, ids)
        self.newest = self.positions[:, -(positions if ids is None else ids).shape[1] :]

    def update(self, k, v, layer):
        return self.cache.update(k, v, layer)

    def crop(self, count):
        self.cache.crop(count)

    def select(self, rows):
        self.cache.select(rows)

    def reset(self):
        self.cache.reset()
