"""A scalar that differentiates itself, in plain Python: what a reader of micrograd would write.

The yardstick of the GPT benchmark, and an independent check of its gradients. Built the way
micrograd is (a closure for each node's rule, a set of operands, a depth-first sort), and with the
two functions that a language model needs besides: exp and log.
"""

import math
import sys
from collections.abc import Callable
from typing import Union

Number = Union["Value", float]

_DEEPEST = 1_000_000  # a loss hangs together by chains longer than Python's usual limit


class Value:
    """A number, how it was computed, and the derivative of some root by it."""

    def __init__(self, data: float, _children: "tuple[Value, ...]" = (), _op: str = "") -> None:
        """Make a leaf, or the result of an operation on _children."""
        self.data = data
        self.grad = 0.0
        self._prev = set(_children)
        self._op = _op
        self._backward: Callable[[], None] = lambda: None

    def __add__(self, other: Number) -> "Value":
        """The sum."""
        b = other if isinstance(other, Value) else Value(other)
        y = Value(self.data + b.data, (self, b), "+")

        def rule() -> None:
            self.grad += y.grad
            b.grad += y.grad

        y._backward = rule
        return y

    def __mul__(self, other: Number) -> "Value":
        """The product."""
        b = other if isinstance(other, Value) else Value(other)
        y = Value(self.data * b.data, (self, b), "*")

        def rule() -> None:
            self.grad += b.data * y.grad
            b.grad += self.data * y.grad

        y._backward = rule
        return y

    def __pow__(self, exponent: float) -> "Value":
        """Self raised to a constant."""
        y = Value(self.data**exponent, (self,), f"**{exponent}")

        def rule() -> None:
            self.grad += exponent * self.data ** (exponent - 1) * y.grad

        y._backward = rule
        return y

    def relu(self) -> "Value":
        """The larger of self and 0."""
        y = Value(0.0 if self.data < 0 else self.data, (self,), "ReLU")

        def rule() -> None:
            self.grad += (y.data > 0) * y.grad

        y._backward = rule
        return y

    def exp(self) -> "Value":
        """The exponential."""
        y = Value(math.exp(self.data), (self,), "exp")

        def rule() -> None:
            self.grad += y.data * y.grad

        y._backward = rule
        return y

    def log(self) -> "Value":
        """The natural logarithm."""
        y = Value(math.log(self.data), (self,), "log")

        def rule() -> None:
            self.grad += y.grad / self.data

        y._backward = rule
        return y

    def backward(self) -> None:
        """Add the derivative of self by each node below to that node's grad."""
        order: list[Value] = []
        seen: set[Value] = set()

        def visit(node: Value) -> None:
            if node not in seen:
                seen.add(node)
                for operand in node._prev:
                    visit(operand)
                order.append(node)

        usual = sys.getrecursionlimit()
        sys.setrecursionlimit(_DEEPEST)
        try:
            visit(self)
        finally:
            sys.setrecursionlimit(usual)
        self.grad = 1.0
        for node in reversed(order):
            node._backward()

    def __neg__(self) -> "Value":
        """The opposite."""
        return self * -1

    def __sub__(self, other: Number) -> "Value":
        """The difference."""
        return self + (-other)

    def __truediv__(self, other: Number) -> "Value":
        """The quotient."""
        return self * other**-1

    def __radd__(self, other: float) -> "Value":
        """The sum, a number on the left."""
        return self + other

    def __rmul__(self, other: float) -> "Value":
        """The product, a number on the left."""
        return self * other

    def __rsub__(self, other: float) -> "Value":
        """The difference from a number."""
        return other + (-self)

    def __rtruediv__(self, other: float) -> "Value":
        """The quotient of a number and self."""
        return other * self**-1

    def __repr__(self) -> str:
        """Both numbers."""
        return f"Value(data={self.data}, grad={self.grad})"
