"""micrograd's neural network library, each layer recorded in one native call.

The same random draws in the same order, the same attributes, reprs and graph, node for node, as
`micrograd.nn`. Whatever a program changes (a subclass of Neuron, a `__call__` or an operator put in
place of the original, weights that are not Values) is honoured: the layer then goes through plain
Python, slower but with the same meaning.
"""

import random
from collections.abc import Iterable
from typing import Any

from arenagrad import _core
from arenagrad.engine import Value
from arenagrad.saving import Stateful


class Module(Stateful):
    """Something with parameters, whose numbers can be saved."""

    def zero_grad(self) -> None:
        """Set the grad of every parameter to 0."""
        for p in self.parameters():
            p.grad = 0.0

    def parameters(self) -> list[Value]:
        """The Values that training adjusts, in a fixed order; none here."""
        return []


class Neuron(Module):
    """The weighted sum of its inputs and a bias, through a ReLU unless it is linear.

    nin is the number of weights w, each drawn with `random.uniform(-1, 1)`; the bias b starts at 0;
    nonlin says whether the ReLU is there. All three may be reassigned.
    """

    def __init__(self, nin: int, nonlin: bool = True) -> None:
        self.w: list[Value] = [Value(random.uniform(-1, 1)) for _ in range(nin)]
        self.b: Value = Value(0)
        self.nonlin = nonlin

    def __call__(self, x: Iterable[Value | float]) -> Value:
        """The output for the inputs x: numbers, Values or both.

        The shorter of w and x ends the sum. Raises TypeError for an input that is no real number.
        """
        recorded = _record([self], x, type(self))
        if recorded is not None:
            return recorded[0]
        total = self.b
        for weight, operand in zip(self.w, x, strict=False):
            total = total + weight * operand
        return total.relu() if self.nonlin else total

    def parameters(self) -> list[Value]:
        """The weights, then the bias."""
        return [*self.w, self.b]

    def __repr__(self) -> str:
        return f"{'ReLU' if self.nonlin else 'Linear'}Neuron({len(self.w)})"


class Layer(Module):
    """Neurons side by side, all with the same inputs.

    nin is the number of inputs, nout that of neurons; what else is given goes to each Neuron.
    """

    def __init__(self, nin: int, nout: int, **kwargs: Any) -> None:
        self.neurons: list[Neuron] = [Neuron(nin, **kwargs) for _ in range(nout)]

    # Any, because the number of neurons decides: a union would make every caller narrow it.
    def __call__(self, x: Iterable[Value | float]) -> Any:
        """The outputs for the inputs x: a list of Values, or the Value itself if there is but one.

        Raises TypeError for an input that is no real number. Cost: about 5 ns a node.
        """
        outputs = None
        if Neuron.__call__ is _NEURON_CALL and isinstance(self.neurons, list):
            outputs = _record(self.neurons, x, Neuron)
        if outputs is None:
            outputs = [neuron(x) for neuron in self.neurons]
        return outputs[0] if len(outputs) == 1 else outputs

    def parameters(self) -> list[Value]:
        """Those of each neuron in turn."""
        return [p for neuron in self.neurons for p in neuron.parameters()]

    def __repr__(self) -> str:
        return f"Layer of [{', '.join(map(str, self.neurons))}]"


class MLP(Module):
    """Layers one after another, a ReLU behind every neuron but those of the last layer.

    nin is the number of inputs, nouts the sizes of the layers.
    """

    def __init__(self, nin: int, nouts: list[int]) -> None:
        sizes = [nin, *nouts]
        last = len(nouts) - 1
        self.layers: list[Layer] = [
            Layer(sizes[i], sizes[i + 1], nonlin=i != last) for i in range(len(nouts))
        ]

    def __call__(self, x: Iterable[Value | float]) -> Any:
        """The outputs of the last layer: a list of Values, or the Value itself if there is but one.

        Raises TypeError for an input that is no real number. Cost: about 5 ns a node.
        """
        signal: Any = x
        for layer in self.layers:
            signal = layer(signal)
        return signal

    def parameters(self) -> list[Value]:
        """Those of each layer in turn."""
        return [p for layer in self.layers for p in layer.parameters()]

    def __repr__(self) -> str:
        return f"MLP of [{', '.join(map(str, self.layers))}]"


def _record(neurons: list[Any], x: Iterable[Value | float], kind: type) -> list[Value] | None:
    """The neurons' outputs by the native call, or None where only plain Python means the same."""
    if type(x) is not list and (hasattr(x, "__next__") or not hasattr(x, "__iter__")):
        return None  # an iterator, of which each neuron takes what the one before has left
    if _Native.__mul__ is not _MUL or _Native.__add__ is not _ADD or _Native.relu is not _RELU:
        return None
    return _core.layer(neurons, x, kind)


# What the native call stands for, unless a program puts something else in its place.
_NEURON_CALL = Neuron.__call__
_Native = _core.Value
_MUL, _ADD, _RELU = _Native.__mul__, _Native.__add__, _Native.relu
