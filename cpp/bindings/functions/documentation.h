// The docstrings of functions that take lists, without the rows of ops.def that take one list and
// get theirs from the table: each signature as Python's introspection reads it, and the text of the
// stub, _core/functions.pyi. A test holds the two to be one text.
#pragma once

namespace arenagrad::bindings {

inline constexpr char kSumDoc[] = R"(sum($module, xs, start=0.0)
--

The sum start + xs[0] + xs[1] + ..., left to right, as one node.

Args:
    xs: a list, tuple or one-dimensional array of Values and numbers; numbers become leaves.
    start: a Value or number that comes first.

Returns:
    A Value if an operand is one, else a float.

Raises:
    TypeError: an element is neither a Value nor a real number. Nothing has been recorded then.

Cost: about 3 ns an operand, and as much again in the sweep.)";

inline constexpr char kDotDoc[] = R"(dot($module, ws, xs, start=0.0)
--

The sum start + ws[0]*xs[0] + ws[1]*xs[1] + ..., left to right, as one node.

Args:
    ws: as for sum().
    xs: as many operands.
    start: a Value or number that comes first.

Returns:
    A Value if an operand is one, else a float.

Raises:
    ValueError: ws and xs are not equally long.
    TypeError: as sum() does.)";

inline constexpr char kWhereDoc[] = R"(where($module, condition, x, y)
--

The operand x if condition is true (a Value: if it is not 0), else y, as one node.

The operand that is not chosen gets no gradient, not even a nan.

Args:
    condition: a Value, number or bool; or a list or array of such, as x and y may be.
    x: the result where the condition is true.
    y: the result elsewhere.

Returns:
    A Value if an operand is one, else a float. Lists and arrays are taken element by element,
    broadcast as NumPy does; the result is then an array, or a list if all of them are lists.

Raises:
    TypeError: an operand is neither a Value nor a real number.)";

inline constexpr char kTakeDoc[] = R"(take($module, values, index)
--

values[index], where the index may be a Value that holds a whole number.

With such an index it is one node, which gives its gradient to the value that was chosen; in a
compiled function the index may then differ from call to call.

Args:
    values: a list, tuple or array of Values and numbers, or of rows of such.
    index: a whole number from 0 to len(values) - 1, or a Value that holds one.

Returns:
    The very element for a number as index, a Value for a Value; of rows, a row.

Raises:
    IndexError: the index is no whole number or too large or too small.
    ValueError: rows are of unequal lengths.
    TypeError: an element is neither a Value nor a real number.

Cost: about 3 ns a value.)";

inline constexpr char kVarDoc[] = R"(var($module, xs, ddof=0)
--

The variance of xs: the mean of the squared distances from their mean, as one node.

Args:
    xs: as for sum().
    ddof: taken off the number of xs by which the sum of squares is divided, as in NumPy.

Returns:
    A Value if an operand is one, else a float.

Raises:
    ValueError: there are not more xs than ddof.
    TypeError: as sum() does.)";

inline constexpr char kStdDoc[] = R"(std($module, xs, ddof=0)
--

The root of var(xs, ddof), as one node; partial 0 where all xs are the same.

Args:
    xs: as for sum().
    ddof: as for var().

Returns:
    A Value if an operand is one, else a float.

Raises:
    ValueError: as var() does.
    TypeError: as sum() does.)";

inline constexpr char kInterpDoc[] = R"(interp($module, x, xp, fp, left=None, right=None)
--

The height at x of the lines that join the points (xp[k], fp[k]), as one node.

Between two points the gradient goes to x, to both points and to their heights; at a point it is
that of the line to its right.

Args:
    x: a Value or number; or a list or array of such, taken element by element.
    xp: the points, of which each is above the one before: Values and numbers.
    fp: as many heights.
    left: the result below xp[0]; fp[0] if it is left out.
    right: the result above xp[-1]; fp[-1] if it is left out.

Returns:
    A Value if an operand is one, else a float; a list or an array for a list or an array x.

Raises:
    ValueError: xp and fp are empty or not equally many.
    TypeError: as sum() does.

Cost: about 6 ns a point.)";

inline constexpr char kPolygammaDoc[] = R"(polygamma($module, n, x)
--

The derivative of order n of digamma at x, as one node.

Args:
    n: a whole number from 0, which is digamma itself, to 170; or a list or array of such.
    x: a Value or number; or a list or array of such, taken element by element.

Returns:
    A Value if x is one, else a float; an array if an operand is one, a list if one is a list.

Raises:
    ValueError: n is not one of these numbers.
    DomainError: x is 0, -1, -2, ...
    TypeError: n is a Value, or an operand is neither a Value nor a real number.)";

inline constexpr char kGammaincDoc[] = R"(gammainc($module, a, x)
--

The regularised lower incomplete gamma function of the shape a at x, as one node: SciPy's.

It has derivatives by x of every order. No library has those by a, so that a sweep which asks
for them raises; a number, or what stop_gradient() gave, is a shape that is not asked.

Args:
    a: the shape, not below 0: a Value or number; or a list or array of such, as x may be.
    x: not below 0, taken element by element.

Returns:
    A Value if an operand is one, else a float; an array if an operand is one, else a list if
    one is a list.

Raises:
    DomainError: a or x is below 0, or both are 0.
    ImportError: SciPy is not installed.
    TypeError: an operand is neither a Value nor a real number.)";

inline constexpr char kBetaincDoc[] = R"(betainc($module, a, b, x)
--

The regularised incomplete beta function of the shapes a and b at x, as one node: SciPy's.

It has derivatives by x of every order. No library has those by a and b, so that a sweep which
asks for them raises; numbers, or what stop_gradient() gave, are shapes that are not asked.

Args:
    a: a shape, not below 0: a Value or number; or a list or array of such, as b and x may be.
    b: the other shape.
    x: from 0 to 1, taken element by element.

Returns:
    A Value if an operand is one, else a float; an array if an operand is one, else a list if
    one is a list.

Raises:
    DomainError: a or b is below 0, or x is not from 0 to 1.
    ImportError: SciPy is not installed.
    TypeError: an operand is neither a Value nor a real number.)";

inline constexpr char kCumsumDoc[] = R"(cumsum($module, xs)
--

The sums xs[0], xs[0] + xs[1], ...: one node each but the first, which is xs[0] itself.

Args:
    xs: as for sum().

Returns:
    A list, or an array if xs is one.

Raises:
    TypeError: as sum() does.)";

inline constexpr char kLinearDoc[] = R"(linear($module, weights, x, biases=None)
--

biases[k] + dot(weights[k], x) for each row k of weights: one node each.

Args:
    weights: rows of operands, each as for sum().
    x: as many operands as each row has.
    biases: an operand for each row, or None for no biases.

Returns:
    A list, or an array if x is one.

Raises:
    ValueError: a row and x, or biases and the rows, are not equally many.
    TypeError: as sum() does.)";

inline constexpr char kClipDoc[] = R"(clip($module, a, a_min=None, a_max=None)
--

The number a, or the bound beyond which it is: minimum(maximum(a, a_min), a_max).

At a bound, a and the bound get half of the gradient each; beyond it the bound gets all.

Args:
    a: a Value or number; or a list or array of such, as the bounds may be.
    a_min: the least result, or None for no such bound.
    a_max: the largest result, or None. Where a_min is above it, the result is a_max.

Returns:
    A Value if an operand is one, else a float. Lists and arrays are taken element by element,
    broadcast as NumPy does; the result is then an array, or a list if all of them are lists.

Raises:
    TypeError: an operand is neither a Value nor a real number.)";

inline constexpr char kZeroGradDoc[] = R"(zero_grad($module, roots)
--

Set the grad of every node below the roots to 0, the roots included.

Parameters are roots too: a leaf has nothing below.

Args:
    roots: a Value, or several.

Raises:
    TypeError: a root is no Value. No grad has changed then.

Cost: 2 to 4 ns a node.)";

inline constexpr char kValuesDoc[] = R"(values($module, array)
--

An object array of new leaves, of the shape of array.

Args:
    array: an array, a number, or nested lists of numbers.

Returns:
    An array of dtype object with a Value for each number.

Raises:
    TypeError: an element is no real number.
    ValueError: lists at one depth are of unequal lengths.

Cost: about 30 ns a number.)";

inline constexpr char kDataOfDoc[] = R"(data_of($module, nested)
--

The data of Values in nested lists, tuples and arrays, as a float array of their shape.

Args:
    nested: Values, and numbers, which stand for themselves.

Returns:
    A NumPy array of float64.

Raises:
    TypeError: an element is neither a Value nor a real number.
    ValueError: lists at one depth are of unequal lengths.

Cost: about 15 ns a Value.)";

inline constexpr char kGradOfDoc[] = R"(grad_of($module, nested)
--

The grad of Values in nested lists, tuples and arrays, as a float array of their shape.

Args:
    nested: Values, and numbers, whose grad is 0.

Returns:
    A NumPy array of float64.

Raises:
    TypeError: an element is neither a Value nor a real number.
    ValueError: lists at one depth are of unequal lengths.

Cost: about 15 ns a Value.)";

inline constexpr char kAssignDoc[] = R"(assign($module, nested, array, to='data')
--

Write numbers into the data of Values, or into their grad.

Args:
    nested: Values in nested lists, tuples or arrays.
    array: numbers in the same shape, nested or an array.
    to: "data" or "grad".

Raises:
    ValueError: the shapes differ, or to is something else. Nothing has changed then.
    TypeError: what is written to is no Value, or what is written no number; as above.

Cost: 2 ns a Value for a list and an array of float64, else about 30 ns.)";

} // namespace arenagrad::bindings
