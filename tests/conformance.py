"""The conformance suite as plain functions: a test calls them, and the mutants must make one of them fail.

Every cache of the registry must equal its oracle (oracles.py), an uncached model over the same tokens, in float64. A
check raises AssertionError (or whatever the broken code raises) and says nothing where all is well. What it raises
says which tokens are wrong, and by how much; so a traceback leaves out the lines here, and shows those of the cache.
"""

import copy
import itertools
from functools import cache as remember

import torch
from oracles import OPTIONS, expected

from minigpt.attention import NEVER, attend, attend_as_matrices, attend_by_hand, attend_by_rows, sees
from minigpt.cache import CACHES, CacheError, CacheFull, cache_options, make_cache
from minigpt.config import GPTConfig
from minigpt.model import GPT

__tracebackhide__ = True

NAMES = [name for name in CACHES if name != "none"]
FULL = [name for name in NAMES if not CACHES[name].needs_window]  # those that serve a model that sees everything


LIMITED = [name for name in NAMES if "max_cache_len" in cache_options(name)]


def rule_for(name: str) -> str:
    """The simplest rule that the cache can serve."""
    return "window" if CACHES[name].needs_window else "full"


def pairs() -> list[tuple[str, str]]:
    """Each cache with each rule that it can serve."""
    return [(name, rule) for name in NAMES for rule in RULES if rule != "full" or not CACHES[name].needs_window]


def new_cache(name, gpt, rows, options=None):
    """An empty cache for these tests, by default with the options that let it show what it does in short texts."""
    options = OPTIONS.get(name, {}) if options is None else options
    return make_cache(name, gpt.config, batch_size=rows, dtype=torch.float64, **options)


def pieces(cache, start: int, end: int) -> list[slice]:
    """start to end, in as few pieces as the cache can take at once."""
    step = cache.largest_chunk or end - start
    return [slice(at, min(at + step, end)) for at in range(start, end, step)]


TOLERANCE = 1e-10
WINDOW, SINKS = 6, 2
RULES = {
    "full": {},
    "window": {"window": WINDOW},
    "window with sinks": {"window": WINDOW, "sinks": SINKS},
    "hybrid": {"window": [WINDOW, None]},
    "hybrid with sinks": {"window": [WINDOW + 3, WINDOW], "sinks": SINKS},
}
ALIKE = [rule for rule in RULES if "hybrid" not in rule]  # all layers see as far
HEADS = {"MHA": 4, "GQA": 2}
PROMPT, DECODE = 21, 6
SCHEDULES = {
    "one prefill": [PROMPT],
    **{f"chunks of {size}": [size] * -(-PROMPT // size) for size in (1, 3, 7, WINDOW - 1, WINDOW, WINDOW + 1)},
    "mixed": [4, 1, 1, 9, 2, 4],
}
PADDING = {"plain": [0, 0, 0], "ragged left padding": [0, 3, 9]}

# Long texts: past every size of a block that a cache may have, several doublings, and five turns of a ring.
LONG, EDGES = 600, (16, 64, 128, 256, 512)
LONG_RULES = {"full": {}, "window": {"window": 60}, "window with sinks": {"window": 60, "sinks": 4}}
ENDS = [*(edge + side for edge in EDGES for side in (-1, 0, 1)), LONG]  # before an edge, on it, and behind it
LONG_SCHEDULES = {
    "from edge to edge": [end - start for start, end in itertools.pairwise([0, *ENDS])],
    "one token at a time": [1] * LONG,
    "chunks of 37": [37] * -(-LONG // 37),
}


@remember
def model(rule="full", heads="MHA", dtype=torch.float64) -> GPT:
    """Random weights, large enough that attention is far from uniform and every position matters."""
    sizes = {"n_layer": 2, "n_head": 4, "n_kv_head": HEADS[heads], "n_embd": 32}
    return random_model(GPTConfig(vocab_size=53, context=40, **sizes, **RULES[rule])).to(dtype)


@remember
def long_model(rule) -> GPT:
    """Small, since its texts are long."""
    return random_model(GPTConfig(vocab_size=53, context=LONG, n_layer=1, n_head=2, n_embd=16, **LONG_RULES[rule]))


def random_model(config) -> GPT:
    torch.manual_seed(7)
    gpt = GPT(config).double()
    with torch.no_grad():
        for parameter in gpt.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return gpt.eval()


def text(pads: list[int], length: int, seed=0) -> tuple[torch.Tensor, torch.Tensor]:
    """Random ids (B, length) and their positions, with so many pads on the left of each row."""
    ids = torch.randint(53, (len(pads), length), generator=torch.Generator().manual_seed(seed))
    positions = torch.arange(length) - torch.tensor(pads)[:, None]
    return ids, positions.masked_fill(positions < 0, NEVER)


def assert_same(got, want, positions, note, first):
    """Equal logits wherever there is a token: padded queries are not counted. first: the number of the first token."""
    off = (got - want).abs().amax(-1).masked_fill(positions == NEVER, 0)
    wrong = ~(off <= TOLERANCE)  # so that NaN is wrong
    if not wrong.any():
        return
    rows = [
        f"row {row}, {tokens(these.nonzero()[:, 0] + first, positions[row, these])}: "
        f"off by up to {off[row, these].max():.3g}"
        for row, these in enumerate(wrong)
        if these.any()
    ]
    of_all = f"{wrong.sum()} of {wrong.numel()} tokens have wrong logits, the first is token"
    raise AssertionError("\n".join([f"{note}: {of_all} {wrong.any(0).nonzero()[0].item() + first}", *rows]))


def tokens(numbers, positions) -> str:
    """Which these are, counted from 0 with the pads, and at which positions, if these are other numbers."""
    s, numbers, positions = "s" if len(numbers) > 1 else "", numbers.tolist(), positions.tolist()
    beside = f" (position{s} {listed(positions)})" if positions != numbers else ""
    return f"token{s} {listed(numbers)}{beside}"


def listed(numbers: list[int]) -> str:
    """The first few and the last of many."""
    return ", ".join(map(str, numbers if len(numbers) < 8 else [*numbers[:5], "...", numbers[-1]]))


def told(fed: list[slice], piece: slice) -> str:
    """Which chunk of a schedule this is."""
    at = fed.index(piece)
    return f"after chunks of {listed(sizes(fed[:at])) or 0}, tokens {piece.start} to {piece.stop - 1}"


def sizes(fed: list[slice]) -> list[int]:
    return [piece.stop - piece.start for piece in fed]


def schedule_equals_uncached(name, rule, heads, padding, schedule, options=None):
    """All logits of a text fed in these chunks, then decoded token by token, equal those of the oracle."""
    gpt, pads = model(rule, heads), PADDING[padding]
    ids, positions = text(pads, PROMPT + DECODE)
    cache, start, fed = new_cache(name, gpt, len(pads), options), 0, []
    for size in [*SCHEDULES[schedule], *[1] * DECODE]:
        end = min(start + size, PROMPT if start < PROMPT else PROMPT + DECODE)
        fed += pieces(cache, start, end)
        start = end
    with torch.no_grad():
        want = expected(name, gpt, ids, positions, sizes(fed), options)
        for piece in fed:
            # Without padding the positions are the cache's own to know.
            given = positions[:, piece] if padding != "plain" else None
            got = gpt(ids[:, piece], given, cache)
            assert_same(got, want[:, piece], positions[:, piece], told(fed, piece), piece.start)
    assert cache.length == start == PROMPT + DECODE
    assert torch.equal(cache.positions, positions)
    assert torch.equal(cache.ids, ids)


def long_text_equals_uncached(name, rule, chunks):
    """All logits of a long text, fed in these chunks, equal those of the oracle. The last one may be cut short."""
    gpt, (ids, positions) = long_model(rule), text([0, 5], LONG)
    cache, fed = new_cache(name, gpt, 2), []
    for start, size in zip([0, *itertools.accumulate(chunks)], chunks, strict=False):
        fed += pieces(cache, start, min(start + size, LONG))
    with torch.no_grad():
        want = expected(name, gpt, ids[:, : fed[-1].stop], positions[:, : fed[-1].stop], sizes(fed))
        for piece in fed:
            got = gpt(ids[:, piece], positions[:, piece], cache)
            assert_same(got, want[:, piece], positions[:, piece], told(fed, piece), piece.start)


def long_schedule_equals_uncached(name, rule, schedule):
    long_text_equals_uncached(name, rule, LONG_SCHEDULES[schedule])


def long_pairs() -> list[tuple[str, str]]:
    return [(name, rule) for name, rule in pairs() if rule in LONG_RULES]


def padded_rows_go_on_by_themselves(name, rule):
    """After a left-padded prefill the cache knows where each row goes on."""
    gpt, pads = model(rule), PADDING["ragged left padding"]
    ids, positions = text(pads, 16)
    cache = new_cache(name, gpt, 3)
    with torch.no_grad():
        fed = pieces(cache, 0, 12)
        want = expected(name, gpt, ids, positions, [*sizes(fed), 4])
        for piece in fed:
            gpt(ids[:, piece], positions[:, piece], cache)
        assert_same(gpt(ids[:, 12:], cache=cache), want[:, 12:], positions[:, 12:], "4 tokens after 12", 12)


def batch_row_equals_its_solo_run(name, rule):
    """A row of a left-padded batch generates what it generates alone; one that is rounded, what its oracle says."""
    gpt, pads = model(rule), PADDING["ragged left padding"]
    ids, positions = text(pads, 14)
    mask = (positions != NEVER).long()
    cache = new_cache(name, gpt, len(pads))
    together = gpt.generate(ids, mask, max_new_tokens=12, cache=cache, prefill_chunk_size=5)
    if CACHES[name].lossy:  # what is rounded goes by arrival, so a padded row differs from the same row alone
        with torch.no_grad():
            want = expected(name, gpt, together[:, :-1], cache.positions, [5, 5, 4, *[1] * 11])
        assert torch.equal(together[:, 14:], want[:, 13:].float().argmax(-1))
        return
    for row, pad in enumerate(pads):
        alone = gpt.generate(ids[row : row + 1, pad:], max_new_tokens=12, use_cache=False)
        assert torch.equal(together[row, pad:], alone[0]), f"row {row}"


def verbs_equal_a_replay(name, rule, seed):
    """A fixed round of append, crop, select and reset equals the uncached run over the tokens that survive."""
    gpt = model(rule)
    ids, positions = text([0, 4, 2], 30, seed)
    other, _ = text([0, 0, 0], 30, seed + 100)
    run = Replay(name, gpt, ids[:, :9], positions[:, :9])
    run.append(ids[:, 9:10])
    run.crop(3)
    run.append(other[:, :5])
    run.select([2, 0])
    run.append(other[:2, 5:6])
    run.select([1, 1, 0, 0])
    run.append(torch.cat([other[:, 6:8], other[:1, 8:10]]))
    run.crop(1)
    run.append(torch.cat([other[:, 10:13], other[1:2, 8:11]]))
    run.refuse()
    fork = run.fork()
    fork.append(torch.cat([other[:, 13:17], other[2:3, 8:12]]))
    run.append(torch.cat([other[:, 20:23], other[1:2, 20:23]]))
    for count in (2, 3, 5, 4):
        run.crop_or_be_refused(count)
        run.append(torch.cat([other[:, count : count + 1], other[1:2, :1]]))
    fork.append(torch.cat([other[:, 23:24], other[:1, 23:24]]))
    run.reset()
    run.append(other[:, :7].repeat(2, 1)[:4])
    run.append(other[:, 7:8].repeat(2, 1)[:4])


class Replay:
    """A cache beside the plain list of tokens that it should hold; each append is checked uncached."""

    def __init__(self, name, gpt, ids, positions, **options):
        self.name, self.gpt, self.options = name, gpt, {**OPTIONS.get(name, {}), **options}
        self.cache = new_cache(name, gpt, len(ids), self.options)
        self.history = []  # see oracles.py
        self.verbs = []  # all that was done, in words
        self.ids, self.positions = ids[:, :0], positions[:, :0]
        if ids.shape[1]:
            self.append(ids, positions)

    def append(self, ids, positions=None):
        if positions is None:
            last = self.positions[:, -1:] if self.ids.shape[1] else torch.full((len(ids), 1), -1)
            positions = torch.where(last == NEVER, -1, last) + 1 + torch.arange(ids.shape[1])
        with torch.no_grad():
            fed = pieces(self.cache, 0, ids.shape[1])
            got = torch.cat([self.gpt(ids[:, piece], positions[:, piece], self.cache) for piece in fed], dim=1)
            self.ids = torch.cat([self.ids, ids], dim=1)
            self.positions = torch.cat([self.positions, positions], dim=1)
            self.history += sizes(fed)
            self.verbs += map(str, sizes(fed))
            want = expected(self.name, self.gpt, self.ids, self.positions, self.history, self.options)
        first = self.ids.shape[1] - ids.shape[1]
        assert_same(got, want[:, first:], positions, f"fed {', '.join(self.verbs)}", first)
        self.check_book()

    def fork(self):
        twin = copy.copy(self)
        twin.cache, twin.history = copy.deepcopy(self.cache), [*self.history]
        twin.verbs = [*self.verbs, "fork (the copy)"]
        self.verbs.append("fork (the original)")
        return twin

    def crop(self, count):
        self.cache.crop(-count)
        self.history += [-count] if count else []
        self.verbs.append(f"crop {count}")
        keep = self.ids.shape[1] - count
        self.ids, self.positions = self.ids[:, :keep], self.positions[:, :keep]
        self.check_book()

    def crop_or_be_refused(self, count):
        """A ring may have overwritten what the next token would see, or a group be cut: then nothing changes."""
        before = copy.deepcopy(self.cache.state())
        try:
            self.crop(count)
        except CacheError:
            self.verbs.append(f"crop {count} (refused)")
            assert_unchanged(self.cache, before, f"refused crop of {count}")

    def select(self, rows):
        self.cache.select(rows)
        self.verbs.append(f"select {rows}")
        self.ids, self.positions = self.ids[rows], self.positions[rows]
        self.check_book()

    def reset(self):
        self.cache.reset()
        self.history = []
        self.verbs.append("reset")
        self.ids, self.positions = self.ids[:, :0], self.positions[:, :0]
        self.check_book()

    def refuse(self):
        """Calls that can't be done: each must say so and leave the cache as it was."""
        before = copy.deepcopy(self.cache.state())
        rows, length = self.ids.shape
        shape = (rows, 1, self.gpt.config.n_kv_head, self.gpt.config.head_size)
        calls = [
            lambda: self.cache.crop(1),
            lambda: self.cache.crop(-length - 1),
            lambda: self.cache.select([rows]),
            lambda: self.cache.select([-1]),
            lambda: self.cache.select([]),
            lambda: self.cache.admit(torch.full((rows, 1), -1)),
            lambda: self.cache.admit(torch.full((rows + 1, 1), 39)),
            lambda: self.cache.update(torch.zeros(shape).double(), torch.zeros(shape).double(), 0),
        ]
        if length:
            calls.append(
                lambda: self.cache.admit(self.positions[:, -1:].masked_fill(self.positions[:, -1:] == NEVER, -1))
            )
        if self.cache.capacity is not None:
            many = torch.arange(length, self.cache.capacity + 1).expand(rows, -1) + 100
            calls.append(lambda: self.cache.admit(many))
        self.verbs.append("refused calls")
        for number, call in enumerate(calls):
            try:
                call()
            except CacheError:
                assert_unchanged(self.cache, before, f"refused call {number}")
            else:
                raise AssertionError(f"call {number} was not refused")

    def check_book(self):
        assert self.cache.length == self.ids.shape[1]
        assert torch.equal(self.cache.positions, self.positions)
        assert torch.equal(self.cache.ids, self.ids)


def assert_unchanged(cache, before, note):
    """The cache's state, as it declares it, is what it was: tensors and numbers, in lists, tuples and dicts."""
    old, new = dict(leaves(before)), dict(leaves(cache.state()))
    changed = [
        place for place in {**old, **new} if not (place in old and place in new and alike(old[place], new[place]))
    ]
    for place in changed[:1]:
        was, now = (described(each[place]) if place in each else "nothing" for each in (old, new))
        raise AssertionError(f"{note} changed state(){place}: {was} became {now}")


def leaves(nested, place=""):
    """Each tensor or number of nested lists, tuples and dicts, and its place: '[0]', '[3][1]', "[3]['table']"."""
    if not isinstance(nested, list | tuple | dict):
        yield place, nested
        return
    for key, each in nested.items() if isinstance(nested, dict) else enumerate(nested):
        yield from leaves(each, f"{place}[{key!r}]")


def alike(one, other) -> bool:
    both = isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor)
    return torch.equal(one, other) if both else type(one) is type(other) and one == other


def described(leaf) -> str:
    large = isinstance(leaf, torch.Tensor) and leaf.numel() > 8
    return f"a tensor {tuple(leaf.shape)} of {leaf.dtype}" if large else repr(leaf)


def capacity_is_exact(name):
    """A cache with a limit takes one token less, and just as many; one more is refused before anything changes."""
    gpt = model()
    ids, positions = text([0, 2], 14)
    for size, chunk in itertools.product((-1, 0, 1), (1, 5)):
        cache = make_cache(name, gpt.config, batch_size=2, dtype=torch.float64, max_cache_len=12)
        with torch.no_grad():
            gpt(ids[:, : 12 + size - chunk], positions[:, : 12 + size - chunk], cache)
            before = copy.deepcopy(cache.state())
            end = 12 + size
            try:
                got = gpt(ids[:, end - chunk : end], positions[:, end - chunk : end], cache)
            except CacheFull:
                assert size == 1, "refused what fits"
                assert_unchanged(cache, before, "overflow")
            else:
                assert size < 1, "took more than fits"
                want = gpt(ids[:, :end], positions[:, :end])[:, -chunk:]
                note = f"{end} tokens in 12 slots, the last {chunk} at once"
                assert_same(got, want, positions[:, end - chunk : end], note, end - chunk)


def a_crop_is_exact_or_refused(name, rule):
    """However many tokens are taken back, what follows equals the uncached run: or nothing is."""
    gpt, (ids, positions) = model(rule), text([0, 2], 25)
    for count in (1, WINDOW - 1, WINDOW, WINDOW + 1, 2 * WINDOW, 17):
        run = Replay(name, gpt, ids[:, :18], positions[:, :18])
        run.crop_or_be_refused(count)
        run.append(ids[:, 20:22])
        run.append(ids[:, 22:25])


def positions_may_have_gaps(name, rule):
    """Positions only have to rise, also after some tokens were taken back: slots of theirs must not be seen again."""
    gpt, (ids, _) = model(rule), text([0, 0], 20)
    positions = torch.tensor([[0, 1, 3, 4, 8, 9, 10, 11, 12], [0, 2, 3, 7, 8, 9, 11, 12, 13]])
    run = Replay(name, gpt, ids[:, :6], positions[:, :6])
    run.append(ids[:, 6:9], positions[:, 6:])
    run.crop_or_be_refused(3)
    run.append(ids[:, 9:10], torch.tensor([[14], [15]]))
    run.append(ids[:, 10:12], torch.tensor([[16, 17], [18, 21]]))


def nbytes_is_what_it_keeps_alive(name, rule):
    """After every verb: the bytes of the memory behind keys and values, of what is shared once, of a view all of it."""
    gpt, (ids, positions) = model(rule), text([0, 2], 16)
    run = Replay(name, gpt, ids[:, :9], positions[:, :9])
    for verb in (
        lambda: run.append(ids[:, 9:12]),
        lambda: run.crop_or_be_refused(5),
        lambda: run.append(ids[:, 12:13]),
        lambda: run.select([1, 1]),
        lambda: run.append(ids[:, 13:15]),
        lambda: run.select([0]),
        lambda: run.fork().reset(),
        lambda: run.reset(),
    ):
        verb()
        for cache, which in ((run.cache, ""), (copy.deepcopy(run.cache), ", in a copy")):
            told, held = cache.nbytes, bytes_held(cache)
            assert told == held, f"after {', '.join(run.verbs)}{which}: nbytes is {told}, what it keeps is {held}"


def bytes_held(cache) -> int:
    """Of all memory that its keys and values keep alive. int64 says where they are (positions, a table), not what."""
    kept = [each for layer in range(len(cache.kv)) for _, each in leaves(cache.tensors(layer))]
    storages = [each.untyped_storage() for each in kept if each.dtype != torch.int64]
    return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())


def two_conversations_share_nothing(name):
    """Two caches of one model, filled in turns, each go on as if alone."""
    gpt = model(rule_for(name))
    ids, positions = text([0], 20)
    other, _ = text([0], 20, seed=1)
    a, b = (Replay(name, gpt, start[:, :4], positions[:, :4]) for start in (ids, other))
    for step in range(4, 12):
        a.append(ids[:, step : step + 1])
        b.append(other[:, step : step + 1])


def versions_of_attention_agree(heads, rule):
    """By hand, by rows, as matrices, fused: the same numbers, for fresh and for cached queries."""
    generator = torch.Generator().manual_seed(3)
    B, T, S, H, K, D = 2, 4, 11, 4, HEADS[heads], 5
    q = torch.randn(B, T, H, D, dtype=torch.float64, generator=generator)
    k = torch.randn(B, S, K, D, dtype=torch.float64, generator=generator)
    v = torch.randn(B, S, K, D, dtype=torch.float64, generator=generator)
    _, k_pos = text([0, 3], S)
    mask = sees(k_pos[:, -T:], k_pos, **RULES[rule])
    by_hand = attend_by_hand(q, k, v, mask)
    for attention in (attend_by_rows, attend_as_matrices, attend):
        difference = (attention(q, k, v, mask) - by_hand).abs().max()
        assert difference < 1e-12, f"{attention.__name__} differs by {difference:.3g}"


def rule_is_what_it_says(rule):
    """`sees`, entry by entry, against the sentence: itself and before, in the window or a sink, never a pad."""
    window, sinks = RULES[rule].get("window"), RULES[rule].get("sinks", 0)
    _, k_pos = text([0, 3], 12)
    mask = sees(k_pos[:, 5:], k_pos, window, sinks)
    for b, t, s in itertools.product(range(2), range(7), range(12)):
        query, key = k_pos[b, 5 + t].item(), k_pos[b, s].item()
        near = window is None or query - key < window or key < sinks
        assert mask[b, 0, t, s].item() == (key != NEVER and key <= query and near), (query, key)


def all_checks():
    """(name, function, arguments) of every check of the suite, the quick ones first."""
    product = itertools.product
    yield from (("rule", rule_is_what_it_says, (rule,)) for rule in ALIKE)
    yield from (("attention", versions_of_attention_agree, case) for case in product(HEADS, ALIKE))
    yield from (("capacity", capacity_is_exact, (name,)) for name in LIMITED)
    yield from (("conversations", two_conversations_share_nothing, (name,)) for name in NAMES)
    yield from (("nbytes", nbytes_is_what_it_keeps_alive, case) for case in pairs())
    yield from (("goes on", padded_rows_go_on_by_themselves, case) for case in pairs())
    yield from (("verbs", verbs_equal_a_replay, (*case, seed)) for case in pairs() for seed in range(3))
    yield from (("gaps", positions_may_have_gaps, case) for case in pairs())
    yield from (("crop", a_crop_is_exact_or_refused, case) for case in pairs())
    yield from (("solo", batch_row_equals_its_solo_run, case) for case in pairs())
    long = ((*pair, schedule) for pair in long_pairs() for schedule in LONG_SCHEDULES)
    yield from (("long text", long_schedule_equals_uncached, case) for case in long)
    matrix = ((*pair, *rest) for pair in pairs() for rest in product(HEADS, PADDING, SCHEDULES))
    yield from (("schedule", schedule_equals_uncached, case) for case in matrix)
