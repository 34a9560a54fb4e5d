"""The native core: kernels, the program executor, the thread pool. Shapes in the letters of the glossary."""

from collections.abc import Sequence
from typing import Literal, overload

import numpy as np
from numpy.typing import NDArray

Kind = Literal["f32", "q8", "route", "out"]
Rows = Literal["tokens", "rows"]
Style = Literal["interleaved", "halves"]
Function = Literal["silu", "gelu", "gelu_tanh", "relu", "sigmoid", "tanh", "exp", "softplus"]
CacheType = Literal["f16", "q8_0", "q4_0"]
Bounded = Literal["scale", "soft_cap", "clamp"]

def cpu() -> dict[str, object]:
    """{"brand": str, "features": [str], "isas": [those this machine can run], "isa": the one in use}."""

def set_isa(name: str) -> None:
    """Use another instruction set of `cpu()["isas"]`, for tests. Raises ValueError when it is not there."""

def readable_types() -> list[int]:
    """Ids of the tensor types that `Weight` accepts (see furet.dtypes.TensorType)."""

def buffer_row_bytes(kind: Kind, width: int) -> int:
    """Bytes that one row (token) of an arena buffer takes, padding included."""

def part_bytes(heads: int, kv_heads: int, head_dim: int, sequences: int, max_tokens: int) -> int:
    """What a step may note down for each 256 tokens of context, where threads share the keys of a query."""

def skip_strings(data: bytes | bytearray, at: int, count: int, width: int, big_endian: bool) -> int:
    """Where `count` strings from `at` on end, each a length of `width` bytes and that many bytes.

    When one leads beyond `data`: how many bytes it takes to read on, at most 2**62.
    """

def all_finite(values: NDArray[np.float32]) -> bool:
    """Whether no value is a NaN or an infinity. [n]"""

def largest(values: NDArray[np.float32], count: int, bits: NDArray[np.uint32] | None = None) -> NDArray[np.int64]:
    """Where the `count` largest values are, by falling value, then rising place; none may be a NaN. [n]

    bits    only of those whose bit is set, that of value i in word i / 32; None: of all [ceil(n / 32)]
    """

def penalise(
    logits: NDArray[np.float32], recent: Sequence[int], repeat: float, frequency: float, presence: float
) -> None:
    """Make tokens that occurred recently less probable, in place; see `furet.sample.penalties`. [V]"""

def draw(
    logits: NDArray[np.float32], ids: NDArray[np.int64], cuts: Sequence[tuple[str, float]], at: float
) -> int:
    """The token that a draw hits, of these after the cuts; see `furet.sample.chain`. [V], [n]

    ids     the most probable one first; at least one
    cuts    ("top_p", at most 1), ("min_p", at most 1), ("temperature", above 0), in their order
    at      the draw, in [0, 1)
    """

def admit(
    values: NDArray[np.float32], bits: NDArray[np.uint32], few: int, out: NDArray[np.float32]
) -> NDArray[np.int64] | None:
    """The places of the bits that are set when they are at most `few`; otherwise None, and `out` gets the values.

    values  [n]
    bits    that of value i is bit i % 32 of word i / 32 [ceil(n / 32)]
    out     gets minus infinity where a bit is not set; may be `values` [n]
    """

def scratch_bytes(threads: int) -> int:
    """Bytes of private working memory that a pool of that many threads allocates."""

def decode(data: NDArray[np.uint8], type: int, count: int) -> NDArray[np.float32]:
    """Decode `count` values (whole blocks) with the portable decoder."""

def measure_bandwidth(threads: int, bytes: int, seconds: float) -> float:
    """Bytes per second that so many threads read from `bytes` of memory, the median of some passes."""

def measure_int8_peak(threads: int, seconds: float) -> float:
    """int8 operations per second of the instruction set in use, likewise; a multiply and an add are two."""

class Pool:
    """A pool of worker threads; the calling thread is worker 0. Workers spin briefly, then sleep."""

    def __init__(self, threads: int) -> None: ...
    @property
    def threads(self) -> int: ...

class Packed:
    """Memory for packed weights; they take it from its start on."""

    def __init__(self, bytes: int) -> None: ...

class Weight:
    """A view of one stored matrix [rows, columns], or of several, such as experts; keeps `data` alive.

    data    uint8, exactly matrices * rows * row bytes
    """

    def __init__(
        self, data: NDArray[np.uint8], type: int, rows: int, columns: int, matrices: int = 1
    ) -> None: ...
    def pack(self, pool: Pool, into: Packed, bytes: int = ...) -> bool:
        """Copy about so many bytes more of the weight into the order in which `linear` reads it fastest.

        True once that is done with all of it: then `data` is let go of, and programs read the copy. Results do not
        change. Not within a step of a program that uses the weight. Raises RuntimeError when the file was cut short.
        """
    @property
    def packed_bytes(self) -> int:
        """Bytes that its packed form takes: those of the stored rows, with the rows of a matrix rounded up to 16."""
    @property
    def rows(self) -> int: ...
    @property
    def columns(self) -> int: ...
    @property
    def matrices(self) -> int: ...
    @property
    def quantised(self) -> bool:
        """Whether `linear` wants its input as a "q8" buffer (True) or as "f32" (False)."""

class Blocks:
    """Room for keys and values in blocks of 64 tokens, which sequences may share. Touched only as they fill.

    layers  (K, D) of every layer that attends
    count   blocks
    type    of keys and values, as in `Cache`
    """

    def __init__(self, layers: Sequence[tuple[int, int]], count: int, type: CacheType = "f16") -> None: ...
    @property
    def count(self) -> int: ...
    @property
    def block_bytes(self) -> int:
        """Bytes of a block."""
    def copy(self, source: int, target: int) -> None:
        """What one block holds becomes what another does."""
    def read(self, block: int, out: NDArray[np.uint8]) -> None:
        """Copy what a block holds. [bytes of a block]"""
    def write(self, block: int, data: NDArray[np.uint8]) -> None:
        """Make this what a block holds, as `read` has given it. [bytes of a block]"""
    @staticmethod
    def bytes(layers: Sequence[tuple[int, int]], type: CacheType = "f16") -> int:
        """Of one block."""

class Cache:
    """What one sequence remembers. Memory is touched only as it fills.

    layers              (K, D) of every layer that attends: keys and values per token
    blocks              or the blocks that it is to hold some of, of such layers; at first it holds none
    memory              (H, D) of every layer that recalls: the same per token of an encoder
    states              values of every recurrent state, float32, zeros at first
    capacity            tokens
    memory_capacity     tokens of an encoder
    type                of keys and values; heads of a size that is no multiple of 32 are always f16
    """

    @overload
    def __init__(
        self,
        layers: Sequence[tuple[int, int]],
        memory: Sequence[tuple[int, int]],
        states: Sequence[int],
        capacity: int,
        memory_capacity: int = 0,
        type: CacheType = "f16",
    ) -> None: ...
    @overload
    def __init__(
        self,
        blocks: Blocks,
        memory: Sequence[tuple[int, int]],
        states: Sequence[int],
        capacity: int,
        memory_capacity: int = 0,
    ) -> None: ...
    @property
    def capacity(self) -> int: ...
    @property
    def memory_capacity(self) -> int: ...
    @property
    def length(self) -> int:
        """Tokens held; grows by `Program.step`."""
    @property
    def memory_length(self) -> int:
        """Tokens of an encoder that are remembered."""
    @property
    def recurrent(self) -> bool:
        """Whether there is a state, which can only be forgotten as a whole."""
    @property
    def room(self) -> int:
        """Tokens that there is room for now: `capacity`, or what the blocks hold."""
    def hold(self, blocks: Sequence[int], length: int) -> None:
        """These blocks, in the order of positions, hold `length` tokens of this sequence; ValueError if they cannot."""
    def truncate(self, length: int) -> None:
        """Forget the tokens from `length` on; ValueError if that would cut a recurrent state in two."""
    @staticmethod
    def bytes(
        layers: Sequence[tuple[int, int]],
        memory: Sequence[tuple[int, int]],
        states: Sequence[int],
        capacity: int,
        memory_capacity: int = 0,
        type: CacheType = "f16",
    ) -> int: ...

class Program:
    """A flat list of instructions over buffers of one arena, run in one call per step.

    A buffer has `width` values per row; "tokens" buffers have one row per token of the step (at most
    max_tokens), "rows" buffers one per row of logits asked for (at most max_rows). `offset` is its place in
    the arena, a multiple of 64; `each` is how many rows it has for each of these, one after the other. The
    instruction methods check widths and kinds against each other and raise ValueError. The buffer of kind
    "out" is the caller's array of logits; it has rows "rows", and no arena.
    """

    def __init__(self, max_tokens: int, max_rows: int, arena_bytes: int) -> None: ...
    def buffer(self, width: int, kind: Kind, rows: Rows, offset: int, each: int = 1) -> int: ...
    def rope_table(self, inverse_frequencies: NDArray[np.float64], magnitude: float) -> int:
        """Angles for `rope`: cos and sin of position * inverse_frequencies[i] [D/2], times magnitude.

        Made once per step, in float64.
        """
    def key_bias(
        self, table: int, counts: list[int], channels: NDArray[np.int32], values: NDArray[np.float32]
    ) -> int:
        """A part of a bias that was added to keys, for `attention` to keep out of a cache that is not f16.

        table       the angles by which keys were turned after it was added; -1: not at all
        counts      [K] how many pairs of channels of each head
        channels    [3 * pairs] of each pair its channels and the number of its angle; a second channel of -1 for
                    one that does not turn; at most 128 channels of a head
        values      [2 * pairs] the bias of both
        """
    def embed(self, weight: Weight, out: int) -> None:
        """out[t] = row tokens[t] of weight, decoded."""
    def embed_positions(self, weight: Weight, offset: int, out: int) -> None:
        """out[t] = row position(t) + offset of weight, decoded; `step` refuses positions beyond the table."""
    def take_rows(self, x: int, out: int) -> None:
        """out[r] = x[rows[r]]: from a "tokens" buffer of floats or routes to a "rows" buffer like it."""
    def rms_norm(self, x: int, weight: NDArray[np.float32], eps: float, out: int) -> None:
        """x / rms(x) * weight over groups of len(weight) values, of which width is a multiple.

        `out` is f32 (may be x) or q8.
        """
    def layer_norm(
        self,
        x: int,
        weight: NDArray[np.float32],
        bias: NDArray[np.float32] | None,
        groups: int,
        eps: float,
        out: int,
    ) -> None:
        """(x - mean) / sqrt(variance + eps) * weight + bias in each of `groups` parts of a row.

        weight, bias    [width]. `out` is f32 (may be x) or q8.
        """
    def l2_norm(self, x: int, heads: int, eps: float, out: int) -> None:
        """x / max(|x|, eps) of every head; out may be x."""
    def head_dot(self, a: int, b: int, heads: int, out: int) -> None:
        """The dot product of a and b in every head, at each of its places; out may be a or b."""
    def affine(
        self, x: int, weight: NDArray[np.float32] | None, bias: NDArray[np.float32] | None, out: int
    ) -> None:
        """x * weight + bias, both [width]; out is f32 (may be x) or q8."""
    def quantise(self, x: int, out: int) -> None:
        """f32 -> q8."""
    def linear(
        self,
        x: int,
        weights: Sequence[Weight],
        biases: Sequence[NDArray[np.float32] | None],
        outs: Sequence[int],
        residual: int = -1,
    ) -> None:
        """outs[j] = x @ weights[j].T + biases[j] (+ residual: one weight only; outs[0] may be it)."""
    def rope(self, x: int, head_dim: int, table: int, style: Style) -> None:
        """Rotate, in place, the first 2 * len(inverse_frequencies) values of every head.

        Pairs are (2i, 2i+1) in style "interleaved" and (i, i + half) in "halves".
        """
    def attention(
        self,
        q: int,
        k: int,
        v: int,
        layer: int,
        head_dim: int,
        scale: float,
        window: int,
        out: int,
        soft_cap: float = 0.0,
        slopes: NDArray[np.float32] | None = None,
        distances: NDArray[np.float32] | None = None,
        first_distance: int = 0,
        key_bias: int = -1,
    ) -> None:
        """Append k, v to the layer's cache, then causal grouped-query attention over it. -> [T, H*D]

        A query sees the last `window` positions, its own included; 0: all. `out` is f32, or q8 when head_dim
        is a multiple of 32. A score is scale * q . k, and then

        slopes      [H] plus slope * distance, which is key position - query position
        distances   [H, span] plus an entry by distance: the first for `first_distance` and all below it, the
                    last for all beyond
        soft_cap    c tanh(score / c); 0: not

        key_bias    what k is held without, if the cache is not f16: a number from `key_bias`; -1: nothing
        """
    def attend_all(
        self,
        q: int,
        k: int,
        v: int,
        head_dim: int,
        scale: float,
        out: int,
        distances: NDArray[np.float32] | None = None,
        first_distance: int = 0,
        key_bias: int = -1,
    ) -> None:
        """Attention of every token to all tokens of its sequence in the step. -> [T, H*D]

        This makes the program an encoder's: a step wants empty caches, whose layer 0 lends its room, and
        leaves their lengths as they are.
        """
    def remember(self, k: int, v: int, layer: int, head_dim: int) -> None:
        """Put k, v in the layer of the cache's memory, whose length is then that of the step's tokens.

        This makes the program an encoder's, as `attend_all` does.
        """
    def recall(self, q: int, layer: int, head_dim: int, scale: float, out: int) -> None:
        """Attention to all that the layer of the cache's memory holds. -> [T, H*D]"""
    def activate(self, function: Function | Bounded, x: int, parameter: float, out: int) -> None:
        """function(x); out is f32 (may be x) or q8.

        parameter   p of scale: x * p, soft_cap: p tanh(x / p), clamp: x within [-p, p]; others have none
        """
    def gated(self, function: Function, gate: int, up: int, out: int) -> None:
        """function(gate) * up; out is f32 (may be gate or up) or q8."""
    def gated_linear(self, x: int, gate: Weight, up: Weight, function: Function, out: int) -> None:
        """function(x @ gate.T) * (x @ up.T), a multiple of 32 wide; out is f32 or q8."""
    def columns(self, x: int, first: int, out: int) -> None:
        """As many columns of x from `first` on as out is wide."""
    def add(self, a: int, b: int, out: int) -> None: ...
    def subtract(self, a: int, b: int, out: int) -> None: ...
    def multiply(self, a: int, b: int, out: int) -> None: ...
    def route(self, scores: int, normalise: bool, out: int) -> None:
        """The experts of every token and their weights; `out` is of kind "route", as wide as experts are used.

        At most 1024 experts. A NaN among a token's scores makes its weights NaN.
        """
    def dispatch(self, x: int, route: int, out: int) -> None:
        """The row of every token, f32 or q8, once for each of its experts: `out` has `each` = experts used."""
    def expert_linear(self, x: int, weights: Sequence[Weight], route: int, outs: Sequence[int]) -> None:
        """outs[j] = x @ (matrix of the row's expert in weights[j]).T, a row for each expert of a token.

        x has a row for each expert as well, or one per token, which all of its experts read.
        """
    def combine(self, x: int, route: int, out: int) -> None:
        """The weighted sum of the rows of every token's experts, in the order of their weights."""
    def shift(self, state: int, x: int, out: int) -> None:
        """The row of the token before; `state` is a number in the caches' states: [width]."""
    def convolve(
        self, state: int, x: int, weight: NDArray[np.float32], bias: NDArray[np.float32] | None, out: int
    ) -> None:
        """out[t] = bias + sum_j weight[j] * x[t - taps + 1 + j]; weight [taps, width]; state [taps - 1, width]."""
    def selective_scan(
        self,
        state: int,
        x: int,
        dt: int,
        b: int,
        c: int,
        rates: NDArray[np.float32],
        skip: NDArray[np.float32],
        out: int,
    ) -> None:
        """s = exp(dt * rates) s + dt x b, out = s c + skip x; rates and state [size, width], size at most 512."""
    def wkv4(
        self, state: int, k: int, v: int, decay: NDArray[np.float32], first: NDArray[np.float32], out: int
    ) -> None:
        """The weighted mean of RWKV-4; state [3, width]."""
    def wkv7(
        self, state: int, r: int, decay: int, k: int, v: int, a: int, b: int, heads: int, out: int
    ) -> None:
        """S = S diag(decay) + (S a) b^T + v k^T, out = S r; state [heads, keys, values], at most 512 of each."""
    def read(self, buffer: int, out: NDArray[np.float32]) -> None:
        """What the last step has left in a "rows" buffer of floats, of its first rows. [rows, width]"""
    def step(
        self,
        pool: Pool,
        tokens: NDArray[np.int32],
        runs: Sequence[tuple[Cache, int]],
        rows: NDArray[np.int32],
        out: NDArray[np.float32],
    ) -> None:
        """Run all instructions over T tokens without the GIL.

        tokens  [T]; they belong to the sequences of `runs` in order: (cache, how many tokens); positions
                continue each cache
        rows    [R] which tokens' logits are wanted
        out     [R, V]
        raises  ValueError when T, R, a token id, or a cache's capacity is exceeded, and RuntimeError when the file
                that weights are read from was cut short; the caches are then unchanged
        """
