"""The state of a cache: one thread's at a time, changed all at once, and copied whole."""

import copy
import functools
import os
import threading
import weakref
from collections.abc import Callable
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

from minigpt.cache.errors import CacheError
from minigpt.cache.text import Text
from minigpt.config import Config

Verb = TypeVar("Verb", bound=Callable)
TAKING_OVER = threading.Lock()


def alone(verb: Verb) -> Verb:
    """Guards a verb: refused while another thread is inside one, or between `admit` and the last layer's `update`."""

    @functools.wraps(verb)
    def guarded(cache, *args, **kwargs):
        if cache.process is not None and cache.process != os.getpid():
            raise CacheError(f"made in another process ({cache.process}): make a cache of its own after the fork")
        me = threading.current_thread()  # and not its number, which the next thread is given when this one ends
        holder = vars(cache).setdefault("holder", me)  # one operation: two threads can't both come first
        if holder is not me:
            with TAKING_OVER:
                if vars(cache).get("holder", holder) is not holder or holder.is_alive():
                    raise CacheError("another thread is using this cache: give each thread a cache of its own")
                cache.holder = me  # that thread has ended in the middle of a pass
        try:
            return verb(cache, *args, **kwargs)
        finally:
            if not cache.in_a_pass:
                vars(cache).pop("holder", None)

    return cast(Verb, guarded)


lasting = torch.inference_mode(False)  # a verb whose tensors last: those of inference mode can't be written outside it


class State:
    """text: the tokens so far. kv: each layer's keys and values. layers_written: how many layers have stored the newest
    chunk. unfinished: the verb that was interrupted while it wrote in place."""

    config: Config
    dtype: torch.dtype
    device: torch.device
    text: Text
    kv: list[tuple[Tensor, ...]]
    layers_written: int
    unfinished = ""
    weights: weakref.ref | None = None  # a weak reference to the first of those of the model that fills this cache
    beside: tuple[str, ...] = ()  # attributes, of whole numbers, that feeding the text to another does not bring back
    process: int | None = None  # the only one that may use it (None: any): after a fork two would share its files

    length = property(lambda self: self.text.length)
    positions = property(lambda self: self.text.positions)
    ids = property(lambda self: self.text.ids)
    next_position = property(lambda self: self.text.next_position)
    plain = property(lambda self: self.text.plain)
    batch_size = property(lambda self: self.text.rows)

    @property
    def in_a_pass(self) -> bool:
        """Whether some layers still lack the newest chunk."""
        return self.layers_written < self.config.n_layer

    def hides_nothing(self, layer: int, slots: int) -> bool:
        """Whether the new tokens see all slots of a layer, as far as that is known without asking the device: there is
        one, no row is padded, no slot is empty, and none lies outside the window."""
        window = self.config.windows[layer]
        return self.text.new == 1 and self.text.plain and slots == self.length and (window is None or slots <= window)

    def state(self) -> list:
        """Everything that a refused call must leave unchanged: tensors and numbers, also in lists, tuples or dicts."""
        kept = [each for layer in range(len(self.kv)) for each in self.tensors(layer)]
        return [self.positions, self.ids, self.layers_written, self.unfinished, *kept]

    def tensors(self, layer: int) -> tuple:
        """A layer's keys, its values, and whatever the cache keeps with them: tensors, or lists of them."""
        return self.kv[layer]

    def become(self, **new) -> None:
        """Change all of these at once: an interruption finds all of them changed, or none."""
        vars(self).update(new)

    @lasting
    def take_back(self) -> None:
        """Undo the admit of a chunk that no layer has stored."""
        self.become(**self.cropped(self.length - self.text.new))

    def cropped(self, left: int) -> dict[str, Any]:
        """What is new in the state of the first `left` tokens."""
        raise NotImplementedError

    def slots(self, layer: int) -> int:
        """Slots that a layer has from the start."""
        return 0

    def shelf(self, rows: int, layer: int) -> Tensor:
        """Empty room for a layer's keys, or values. In memory the tokens of a head follow each other, as attention
        reads them: where those of all heads are mixed, reading a long text takes about twice as long."""
        shape = rows, self.config.n_kv_head, self.slots(layer), self.config.head_size
        return torch.zeros(shape, dtype=self.dtype, device=self.device).transpose(1, 2)

    def in_graph(self, typical: bool) -> tuple[dict[str, Any], list[Tensor]]:
        """What `store` needs in a compiled graph: attributes to put in the place of this cache's, and the tensors whose
        second size is left open there, since it changes with the text. They come in whole: `store` may cut one to the
        size of another.

        typical: the graph is being compiled, so give sizes that most calls will have, not those of a short text.
        """
        return {}, []

    def sharing(self, **new) -> Any:
        """A cache of this kind that has the same tensors, and these attributes of its own."""
        twin = object.__new__(type(self))
        vars(twin).update(vars(self), **new)
        return twin

    def know(self, model) -> None:
        """Remember whose keys and values these are: a cache that holds some serves no other model."""
        if not self.length or self.weights is None:
            self.weights = weakref.ref(next(model.parameters()))

    def __reduce_ex__(self, protocol):
        """What pickle and copy.copy call."""
        raise CacheError(
            f"a {type(self).__name__} can't be pickled, and a shallow copy would share its tensors: copy.deepcopy "
            "makes a twin; in another process, make a new cache and feed it the same text"
        )

    @alone
    @lasting
    def __deepcopy__(self, memo):
        twin = memo[id(self)] = object.__new__(type(self))
        state = {name: value for name, value in vars(self).items() if name != "holder"}
        vars(twin).update(copy.deepcopy(state, memo))
        return twin
