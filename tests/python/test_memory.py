"""Memory is flat where a program is: measured in processes of their own, not assumed.

A function that returns figures runs in a fresh interpreter (`in_own_process`), so that no other
test's garbage is counted. Bytes are the resident set of the process, where the system tells it.
"""

import contextlib
import gc
import json
import math
import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import arenagrad
from arenagrad import Value, nn, topological_order
from scripts import run_python

MIB = 1 << 20
RESERVE = 400_000  # nodes whose memory is kept for reuse, at most


def nodes() -> int:
    return arenagrad.arena_info()["nodes"]


def resident() -> int:
    """The bytes this process has in memory; its peak where the system tells only that."""
    try:
        with open("/proc/self/statm", encoding="ascii") as figures:
            return int(figures.read().split()[1]) * os.sysconf("SC_PAGESIZE")
    except OSError:
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def in_own_process(folder: Path, call: str) -> Any:
    """What a call of a function of this file returns where nothing else has run."""
    here = Path(__file__)
    script = f"""
        import json, sys
        sys.path.insert(0, {str(here.parent)!r})
        from {here.stem} import *
        print(json.dumps({call}))
    """
    done = run_python(folder, "script.py", script=script)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def lecture_tanh(x: Value) -> Value:
    """A tanh whose closure refers to its own output, as in the lecture: each node is a cycle."""
    t = math.tanh(x.data)
    out = Value(t, (x,), "tanh")

    def _backward() -> None:
        x.grad += (1 - t**2) * out.grad

    out._backward = _backward
    return out


def decorated(x: Value) -> Value:
    """A node with attributes of every kind, some of which refer back to it."""
    y = x * 1.5
    y.label = f"node {x.data:.3f}"
    y.m = y
    y.history = [x, y, [y]]
    y.table = {"self": y, "operand": x, "text": "some text"}
    return y


def plain(x: Value) -> Value:
    """Enough nodes without any state that garbage would be a matter of arena size alone."""
    for _ in range(40):
        x = x.tanh() + 0.25
    return x


class Refused(Exception):
    """Raised by a rule of a node in the middle of a sweep."""


def refusing(x: Value) -> Value:
    out = Value(x.data, (x,), "refuse")

    def _backward() -> None:
        raise Refused(out)

    out._backward = _backward
    return out


def training(wrap: Callable[[Value], Value], keep: bool) -> list[list[int]]:
    """Peaks of nodes and of bytes over the second and the fifth thousand of steps."""
    weights = [Value(0.1 * k - 0.4) for k in range(8)]
    peaks = {1: [0, 0], 4: [0, 0]}
    kept = None
    for step in range(5000):
        total = Value(0.5)
        for k, w in enumerate(weights):
            total = wrap(total + w * (0.25 * k))
            w.grad = 0.0
        loss = total * total
        with contextlib.suppress(Refused):
            loss.backward()
            for w in weights:
                w.data -= 0.01 * w.grad
        if step // 1000 in peaks:
            peak = peaks[step // 1000]
            peak[:] = max(peak[0], nodes()), max(peak[1], resident())
        kept = loss if keep else None
        del loss, total
    del kept
    return list(peaks.values())


@pytest.mark.slow
@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("wrap", [lecture_tanh, decorated, refusing, plain])
def test_five_thousand_training_steps_take_no_more_than_two_thousand(
    wrap: Callable[[Value], Value], keep: bool, tmp_path: Path
) -> None:
    early, late = in_own_process(tmp_path, f"training({wrap.__name__}, keep={keep})")
    assert 0 < late[0] <= 1.1 * early[0] + 100, "nodes"
    assert late[0] < 600_000, "garbage is looked for from 262,144 nodes on"
    assert late[1] <= early[1] + MIB, "bytes"


def chain(length: int) -> Value:
    x = Value(1.0)
    for _ in range(length // 2):
        x = x * 1.0
    return x


def three_million_nodes() -> list[Any]:
    chain(2 * RESERVE)  # so that the reserve is already there, as after any earlier graph
    start = resident()
    root = chain(3_000_000)
    root.backward()
    full, used = arenagrad.arena_info(), resident() - start
    del root
    return [full, used, arenagrad.arena_info(), resident() - start]


@pytest.mark.slow
def test_a_graph_of_three_million_nodes_costs_forty_bytes_each_and_goes_with_its_root(
    tmp_path: Path,
) -> None:
    full, used, empty, left = in_own_process(tmp_path, "three_million_nodes()")
    per_node = full["bytes_per_node"]
    assert per_node <= 40
    assert full["nodes"] > 3_000_000
    assert full["resident_bytes"] <= (full["nodes"] + RESERVE) * per_node
    assert used <= full["resident_bytes"] + 16 * MIB, "no more than a huge page for each array"
    assert used <= 40 * full["nodes"]
    # The first nodes of the graph lie in the reserve, which was there before.
    assert used >= 16 * (full["nodes"] - 2 * RESERVE), "the bytes were really seen"
    assert empty["nodes"] == 0
    assert empty["resident_bytes"] <= RESERVE * per_node
    assert left <= 4 * MIB


def long_loops_that_alternate() -> int:
    w, most, kept = Value(1.0), 0, []
    for _ in range(200):
        t = w
        for _ in range(50_000):
            t = t * 1.0
        del t
        x = w
        for _ in range(30_000):
            x = x * 1.0
        most = max(most, nodes())
        kept[:] = [x]
        del x
    return most


@pytest.mark.slow
def test_garbage_between_living_graphs_is_found_in_time(tmp_path: Path) -> None:
    assert in_own_process(tmp_path, "long_loops_that_alternate()") < 1_000_000


def five_million_handles() -> list[int]:
    chain(2 * RESERVE)
    start = resident()
    held = [Value(1.0) for _ in range(5_000_000)]
    full = resident()
    del held
    return [full - start, resident() - start, nodes()]


@pytest.mark.slow
def test_five_million_handles_give_their_memory_back(tmp_path: Path) -> None:
    full, left, nodes_left = in_own_process(tmp_path, "five_million_handles()")
    assert full >= 5_000_000 * (32 + 8)
    assert left <= RESERVE * arenagrad.arena_info()["bytes_per_node"] + 4 * MIB
    assert nodes_left == 0


def test_a_plain_value_takes_at_most_32_bytes_and_no_collector_header() -> None:
    values = [Value(1.0), Value(2.0) + 1.0, Value(3.0).tanh(), Value(1.0, (Value(2.0),), (3.0,))]
    for value in values:
        assert sys.getsizeof(value) <= 32
        assert not gc.is_tracked(value)


class Tracer:
    """Something whose end can be seen."""

    alive = 0

    def __init__(self) -> None:
        Tracer.alive += 1

    def __del__(self) -> None:
        Tracer.alive -= 1


@pytest.fixture(autouse=True)
def clean_arena() -> None:
    gc.collect()
    arenagrad.collect()
    Tracer.alive = 0


def attribute_cycle() -> list[Value]:
    a, b = Value(1.0), Value(2.0)
    a.partner, b.partner = b, a
    a.tracer, b.tracer = Tracer(), Tracer()
    return [a, b]


def closure_cycle() -> list[Value]:
    out = lecture_tanh(Value(0.5))
    out.tracer = Tracer()
    return [out * 2.0]


def cycle_through_containers() -> list[Value]:
    a = Value(1.0)
    a.box = [{"deep": (a, Tracer())}]
    b = a * 2.0
    a.user = b
    return [b]


def cycle_of_a_subclass() -> list[Value]:
    a = type("Named", (Value,), {})(1.0)
    a.own, a.tracer = a, Tracer()
    return [a * 3.0]


def closure_over_a_subclass() -> list[Value]:
    return [lecture_tanh(type("Named", (Value,), {})(0.5))]


CYCLES = [
    attribute_cycle,
    closure_cycle,
    cycle_through_containers,
    cycle_of_a_subclass,
    closure_over_a_subclass,
]


@pytest.mark.parametrize("make", CYCLES)
def test_a_dead_cycle_is_collected_and_what_it_holds_is_finalised(
    make: Callable[[], list[Value]],
) -> None:
    before = nodes()
    make()
    gc.collect()
    assert arenagrad.collect() > 0
    assert Tracer.alive == 0
    assert nodes() == before


@pytest.mark.slow
@pytest.mark.parametrize("make", CYCLES)
def test_a_dead_cycle_goes_by_itself_in_time(make: Callable[[], list[Value]]) -> None:
    most = 0
    for _ in range(20_000):
        make()
        most = max(most, Tracer.alive)
    assert most < 12_000
    assert nodes() < 100_000


@pytest.mark.parametrize("make", CYCLES)
def test_a_cycle_that_is_reached_is_kept_whole(make: Callable[[], list[Value]]) -> None:
    kept = make()
    tracers = Tracer.alive
    contents = [(node.data, node._op, sorted(vars(node))) for node in topological_order(kept[0])]
    gc.collect()
    arenagrad.collect()
    assert Tracer.alive == tracers
    order = topological_order(kept[0])
    assert [(node.data, node._op, sorted(vars(node))) for node in order] == contents
    kept[0].backward()
    del order, kept
    arenagrad.collect()
    assert Tracer.alive == 0


def test_a_closure_held_from_outside_keeps_its_node() -> None:
    x = Value(0.5)
    rule = lecture_tanh(x)._backward
    arenagrad.collect()
    out = dict(zip(rule.__code__.co_freevars, rule.__closure__, strict=True))["out"].cell_contents
    assert out._backward is rule
    out.grad = 2.0
    del out
    arenagrad.collect()
    rule()
    assert x.grad == 2.0 * (1 - math.tanh(0.5) ** 2)


def test_a_value_known_only_to_a_living_object_is_kept_with_its_cycle() -> None:
    holder = Tracer()
    holder.value = attribute_cycle()[0]
    arenagrad.collect()
    assert Tracer.alive == 3
    assert holder.value.partner.partner is holder.value
    holder.value.holder = holder  # now a cycle of its own, through an ordinary object
    del holder
    gc.collect()
    arenagrad.collect()
    assert Tracer.alive == 0


def test_an_attribute_goes_when_its_node_goes_and_not_before() -> None:
    leaf = Value(1.0)
    leaf.tracer = Tracer()
    user = leaf * 2.0
    del leaf
    assert Tracer.alive == 1
    assert isinstance(next(v for v in user._prev if v.data == 1.0).tracer, Tracer)
    del user
    arenagrad.collect()
    assert Tracer.alive == 0


# What each line raises, then the expressions that do, or that raise nothing.
ACTIONS = """
(): x + c; c + x; x + x; x - c; c - x; x - x; x * c; c * x; x * x; x / c; c / x; x / x; x + 2
(): 2 / x; x ** 2; x ** c; x ** -1; x ** True; -x; +x; repr(x); hash(x); sum([x, x, c])
(): x.exp(); x.log(); x.tanh(); x.relu(); x.data; x.grad; x._op; x._prev; x._backward
(): x._backward(); x.backward(); ((x * c + x) ** 2).relu().backward(); decorated(x)
(): x.__reduce_ex__(2)[1][1].__reduce__(); (x * c).__copy__(); (x * c).__deepcopy__({})
(): topological_order(x * c); Value(c); Value(2); Value(c, (x, x), "text")
(): Value(c, _children=[x], label="a label"); setattr(x, "data", c); setattr(x, "grad", c)
(): lecture_tanh(x * c).backward(); vars(x * c); setattr(x * c, "_op", "text"); Value(c, {x}, (c,))
TypeError: x + None; None - x; x * "text"; pow(x, x, c); x ** None; Value(None); Value(x)
TypeError: Value(c, (x, c)); Value(c, (x,), (x,)); Value(c, (x,), 3); Value(c, wrong=x); Value()
TypeError: Value(c, label=3); Value(c, (), "", "", x); setattr(x, "data", "text"); x.exp(c)
TypeError: setattr(x, "grad", x); setattr(x, "_backward", 3); setattr(x, "_op", 3)
TypeError: x.__deepcopy__(c); topological_order(c); x < "text"; layer([None])
AttributeError: setattr(x, "_prev", ()); delattr(x, "data"); delattr(x, "unknown"); x.unknown
ValueError: (x * 0.0 - c).log(); (-x) ** 0.5; Value(c, (x, x), (c,))
OverflowError: (x * 1e300).exp(); (x * 1e300) ** 2; x + 10**400; Value(10**400)
ZeroDivisionError: c / (x * 0.0); x / 0; ((x * 0.0) ** 0.5).backward()
Refused: refusing(x * c).backward()
"""
CASES = [
    (text.strip(), expected)
    for expected, _, line in (line.partition(": ") for line in ACTIONS.strip().split("\n"))
    for text in line.split(";")
]


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_no_reference_and_no_block_is_leaked_by(text: str, expected: str) -> None:
    code = compile(text, "<case>", "eval")
    x, constant = Value(1.5), 2.5
    names = {**globals(), "x": x, "c": constant, "layer": nn.Layer(1, 1)}
    wanted: Any = eval(expected, names)

    def repeat() -> tuple[int, ...]:
        for _ in range(1000):
            try:
                eval(code, names)
                assert not wanted, "this has to fail"
            except wanted:
                pass
        gc.collect()
        arenagrad.collect()
        return sys.getrefcount(x), sys.getrefcount(constant), nodes(), sys.getallocatedblocks()

    repeat()  # fills free lists and caches
    *before, blocks = repeat()
    grown = []
    for _ in range(3):  # caches may grow now and then; a leak does so each time
        *after, blocks_after = repeat()
        assert after == before
        grown.append(blocks_after - blocks)
        blocks = blocks_after
    assert min(grown) < 100, "a leak would be one block, or several, each time"


# Address space

LIMITED = """
    import resource
    {before}
    import numpy as np
    import arenagrad
    from arenagrad import Value
    {after}
    size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    limit = size + 400_000_000
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    others = np.empty(200_000_000, dtype=np.uint8)
    x = y = Value(1.0)
    try:
        while True:
            y = y + x
    except arenagrad.ArenaFullError as error:
        print(str(error).startswith("the system has no memory for more than"))
    count = arenagrad.arena_info()["nodes"]
    y.backward()
    print(x.grad, count > 1_000_000)
    del y
    print((x * 2.0).data)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="a limit that other systems do not keep")
@pytest.mark.parametrize("early", [True, False])
def test_a_limit_on_address_space_leaves_room_and_ends_in_a_clear_error(
    tmp_path: Path, early: bool
) -> None:
    limit = "resource.setrlimit(resource.RLIMIT_AS, (4 << 30, resource.RLIM_INFINITY))"
    script = LIMITED.format(before=limit if early else "", after="Value(1.0)" if early else "")
    done = run_python(tmp_path, "script.py", script=script)
    assert done.stderr == ""
    first, swept, last = done.stdout.splitlines()
    assert (first, swept.split()[1], last) == ("True", "True", "2.0")
    assert float(swept.split()[0]) > 1_000_000


@pytest.mark.skipif(sys.platform != "linux", reason="the figures of the process are Linux's")
def test_the_address_space_of_a_small_program_is_small(tmp_path: Path) -> None:
    script = """
        def size():
            return int(open("/proc/self/statm").read().split()[0])

        import resource
        import arenagrad

        before = size()
        x = arenagrad.Value(1.0)
        (x * 2.0).backward()
        print((size() - before) * resource.getpagesize())
    """
    done = run_python(tmp_path, "script.py", script=script)
    assert int(done.stdout) < 64 * MIB, done


def fill(capacity: int) -> tuple[int, str, float]:
    """Record until the capacity is reached; sweep what is there."""
    arenagrad.set_capacity(capacity)
    x = Value(1.0)
    kept = [x]
    told = ""
    while not told:
        try:
            kept.append(kept[-1] + x)
        except arenagrad.ArenaFullError as error:
            told = str(error)
    kept[-1].backward()
    return len(kept), told, x.grad


@pytest.mark.parametrize("nodes", [2**63, -(2**70)])
def test_a_capacity_that_no_machine_counts_is_refused_with_a_sentence(nodes: int) -> None:
    with pytest.raises(ValueError, match=rf"above 0 and below 2\*\*63, got {nodes}$"):
        arenagrad.set_capacity(nodes)


def test_a_capacity_bounds_the_nodes_and_may_be_raised(tmp_path: Path) -> None:
    count, told, grad = in_own_process(tmp_path, "fill(1000)")
    assert (count, grad) == (1000, 1000.0)
    assert told.startswith("the arena is full: its capacity is 1000 nodes")
    script = """
        import arenagrad as ag

        kept = [ag.Value(1.0) for _ in range(100)]
        for nodes, error in ((50, ag.ArenaFullError), (0, ValueError), (-1, ValueError)):
            try:
                ag.set_capacity(nodes)
            except error:
                print("refused")
        ag.set_capacity(100)
        try:
            ag.sum(kept)
        except ag.ArenaFullError:
            print("full")
        del kept[50:]
        ag.set_capacity(60)
        ag.set_capacity(1 << 40)
        print(ag.sum(kept).data, ag.arena_info()["capacity"])
    """
    done = run_python(tmp_path, "script.py", script=script)
    assert done.stdout.split() == ["refused"] * 3 + ["full", "50.0", str((1 << 32) - 1)], done


@pytest.mark.parametrize("text", ["500", "", "0", "-1", "many", "1e6"])
def test_the_environment_sets_the_capacity(
    tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARENAGRAD_MAX_NODES", text)
    script = "import arenagrad; print(arenagrad.arena_info()['capacity'])"
    done = run_python(tmp_path, "script.py", script=script)
    if text in ("500", ""):
        assert done.stdout.strip() == (text or str((1 << 32) - 1)), done
    else:
        last = done.stderr.splitlines()[-1]
        assert last.startswith("ImportError: ARENAGRAD_MAX_NODES must be a number of nodes"), done
