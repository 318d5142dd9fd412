"""What several processes send each other, and from which context on it pays to be several.

L layers, C wide, H query heads of D channels, T new tokens in each of B rows, numbers of b bytes, n processes. The
config is that of the whole model.
"""

from dataclasses import dataclass

from minigpt.config import Config
from minigpt.measure.forms.roofline import kv_nbytes
from minigpt.measure.forms.weights import mlp_weights, projection_weights, weights


@dataclass(frozen=True)
class Sent:
    """In one forward pass. collectives: how often all processes wait for each other. given: bytes that a process hands
    to them in all. on_the_wire: bytes that leave a process, as the quickest way of doing it has them leave."""

    collectives: int
    given: int
    on_the_wire: float


def by_heads(config: Config, processes: int, *, itemsize: int, tokens: int = 1, batch: int = 1) -> Sent:
    """2 L sums of B T C numbers: after attention, and after the MLP. In a ring 2 (n - 1) / n of each leaves a process
    (Patarasuk and Yuan, Journal of Parallel and Distributed Computing 69(2), 2009)."""
    given = 2 * config.n_layer * batch * tokens * config.n_embd * itemsize
    return Sent(2 * config.n_layer, given, 2 * (processes - 1) / processes * given)


def by_positions(config: Config, processes: int, *, itemsize: int, tokens: int = 1, batch: int = 1) -> Sent:
    """L times what each head of each token has read, and a log-sum-exp: B T H (D + 1) numbers, to n - 1 others."""
    given = config.n_layer * batch * tokens * config.n_head * (config.head_size + 1) * itemsize
    return Sent(config.n_layer, given, float((processes - 1) * given))


@dataclass(frozen=True)
class Link:
    """Between two machines or chips. bytes_per_second: in each direction. latency: seconds that a collective takes
    however little it carries."""

    name: str
    bytes_per_second: float
    latency: float


# Bandwidths are those of the standards, in one direction; latencies are round figures of small collectives.
LINKS = (
    Link("NVLink 4", 450e9, 10e-6),
    Link("PCIe 5 x16", 63e9, 15e-6),
    Link("100 Gb Ethernet", 12.5e9, 30e-6),
    Link("10 Gb Ethernet", 1.25e9, 60e-6),
    Link("1 Gb Ethernet", 0.125e9, 100e-6),
)


def decode_seconds(config: Config, context: int, *, itemsize: int, memory: float, batch: int = 1) -> float:
    """Of a step of one process alone, bound by reading weights and cache. memory: bytes a second."""
    return (weights(config) * itemsize + batch * context * kv_nbytes(config, itemsize)) / memory


def heads_seconds(
    config: Config, context: int, processes: int, link: Link, *, itemsize: int, memory: float, batch: int = 1
) -> float:
    """Of a step cut by heads: each process reads 1 / n of the blocks' weights and of the cache, and the whole output
    head."""
    sent = by_heads(config, processes, itemsize=itemsize, batch=batch)
    cut = projection_weights(config) + mlp_weights(config)
    read = (weights(config) - cut + cut / processes) * itemsize
    read += batch * context * kv_nbytes(config, itemsize) / processes
    return read / memory + sent.collectives * link.latency + sent.on_the_wire / link.bytes_per_second


def positions_seconds(
    config: Config, context: int, processes: int, link: Link, *, itemsize: int, memory: float, batch: int = 1
) -> float:
    """Of a step cut by positions: each process reads all weights, and 1 / n of the cache."""
    sent = by_positions(config, processes, itemsize=itemsize, batch=batch)
    read = weights(config) * itemsize + batch * context * kv_nbytes(config, itemsize) / processes
    return read / memory + sent.collectives * link.latency + sent.on_the_wire / link.bytes_per_second


def pays_from(cut, config: Config, processes: int, link: Link, *, itemsize: int, memory: float, batch: int = 1) -> int:
    """The fewest tokens of context at which a step takes no longer than that of one process. cut: heads_seconds or
    positions_seconds. Both times are straight lines in the context."""
    alone = decode_seconds(config, 0, itemsize=itemsize, memory=memory, batch=batch)
    loss = cut(config, 0, processes, link, itemsize=itemsize, memory=memory, batch=batch) - alone
    a_token = batch * kv_nbytes(config, itemsize) * (1 - 1 / processes) / memory  # seconds saved by each
    return max(0, -int(-loss // a_token)) if processes > 1 else 0
