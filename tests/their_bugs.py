"""Caches of transformers' interface as a user may write them: a right one, and three with one thing wrong."""

import transformers


class Right(transformers.DynamicCache):
    def __init__(self, config, batch_size=1, dtype=None, device=None):
        super().__init__()


class CropsTooFew(Right):
    def crop(self, tokens_to_remove):
        super().crop(min(0, tokens_to_remove + 1))


class ForgetsTheOldest(Right):
    """From the 256th token on."""

    def update(self, *args, **options):
        keys, values = super().update(*args, **options)
        if keys.shape[2] > 255:
            keys = keys.clone()
            keys[:, :, 0] = 0
        return keys, values


class ReordersKeysAlone(Right):
    def reorder_cache(self, beam_idx):
        kept = [layer.values for layer in self.layers]
        super().reorder_cache(beam_idx)
        for layer, values in zip(self.layers, kept, strict=True):
            layer.values = values


SHOWN_BY = {CropsTooFew: "crop", ForgetsTheOldest: "long text", ReordersKeysAlone: "reorder"}
