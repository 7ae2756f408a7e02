#include "matrix_rules.h"

#include <algorithm>
#include <numeric>

#include "differentiate.h"
#include "program/ir/matrix.h"

namespace arenagrad::program {
namespace {

// A matrix of instructions, row by row.
struct Matrix {
  std::size_t rows, columns;
  std::vector<Symbolic> elements;

  Symbolic& at(std::size_t i, std::size_t j) { return elements[i * columns + j]; }
  const Symbolic& at(std::size_t i, std::size_t j) const { return elements[i * columns + j]; }
};

// How a matrix stands in a product or a system of equations.
enum class As : std::uint8_t { Given, Transposed };
constexpr As transposed(As as) { return as == As::Given ? As::Transposed : As::Given; }

Matrix zeros(std::size_t rows, std::size_t columns) {
  return {rows, columns, std::vector<Symbolic>(rows * columns, Symbolic(0.0))};
}

// The results of an instruction with these operands.
std::vector<Symbolic> emit_matrices(Opcode opcode, std::size_t rows, std::size_t columns,
                                    unsigned flags,
                                    std::initializer_list<const std::vector<Symbolic>*> parts) {
  const double sizes[kMatrixSizes] = {static_cast<double>(rows), static_cast<double>(columns),
                                      static_cast<double>(flags)};
  std::vector<Index> operands;
  for (const double size : sizes) operands.push_back(Symbolic(size).index());
  for (const auto* part : parts)
    for (const Symbolic element : *part) operands.push_back(element.index());
  const std::size_t count = matrix_shape(opcode, sizes, operands.size()).results();
  Builder& builder = Symbolic::builder();
  const Index matrices = builder.emit_many(opcode, operands);
  std::vector<Symbolic> results;
  results.reserve(count);
  for (Index k = 0; k < count; ++k)
    results.push_back(Symbolic::of(builder.emit(Opcode::Element, matrices, k)));
  return results;
}

// An outer product is scalar instructions, which a plan does side by side.
Matrix outer(const Matrix& a, const Matrix& b) {
  Matrix y = zeros(a.elements.size(), b.elements.size());
  for (std::size_t i = 0; i < y.rows; ++i)
    for (std::size_t j = 0; j < y.columns; ++j)
      if (!is_zero(a.elements[i]) && !is_zero(b.elements[j]))
        y.at(i, j) = a.elements[i] * b.elements[j];
  return y;
}

Matrix product(const Matrix& a, As as_a, const Matrix& b, As as_b) {
  const bool turned_a = as_a == As::Transposed, turned_b = as_b == As::Transposed;
  const std::size_t rows = turned_a ? a.columns : a.rows, columns = turned_b ? b.rows : b.columns;
  if (a.elements.size() == rows) return outer(a, b);
  const unsigned flags = (turned_a ? kTransposed : 0u) | (turned_b ? kSecondTransposed : 0u);
  return {rows, columns,
          emit_matrices(Opcode::MatrixProduct, rows, columns, flags, {&a.elements, &b.elements})};
}

Matrix negated(Matrix a) {
  for (Symbolic& element : a.elements)
    if (!is_zero(element)) element = -element;
  return a;
}

Matrix difference(Matrix a, const Matrix& b) {
  for (std::size_t k = 0; k < a.elements.size(); ++k)
    a.elements[k] = is_zero(a.elements[k]) ? -b.elements[k] : a.elements[k] - b.elements[k];
  return a;
}

Matrix sum(Matrix a, const Matrix& b) {
  for (std::size_t k = 0; k < a.elements.size(); ++k) a.elements[k] = a.elements[k] + b.elements[k];
  return a;
}

// The lower triangle of n rows, 0 above it.
Matrix unpacked(const std::vector<Symbolic>& triangle, std::size_t n) {
  Matrix a = zeros(n, n);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j <= i; ++j) a.at(i, j) = triangle[triangle_row(i) + j];
  return a;
}

// The lower triangle, with half the diagonal.
Matrix lower_half(const Matrix& a) {
  Matrix y = zeros(a.rows, a.rows);
  for (std::size_t i = 0; i < a.rows; ++i) {
    for (std::size_t j = 0; j < i; ++j) y.at(i, j) = a.at(i, j);
    y.at(i, i) = 0.5 * a.at(i, i);
  }
  return y;
}

// The x with a @ x = b, or x @ a = b, for a lower triangle or its transpose.
Matrix solved(const std::vector<Symbolic>& triangle, As as, bool from_right, const Matrix& b) {
  const unsigned flags = (as == As::Transposed ? kTransposed : 0u) | (from_right ? kFromRight : 0u);
  const std::size_t rows = from_right ? b.columns : b.rows,
                    columns = from_right ? b.rows : b.columns;
  return {b.rows, b.columns,
          emit_matrices(Opcode::TriangularSolve, rows, columns, flags, {&triangle, &b.elements})};
}

// The operands and results of the instruction at a site, in parts.
class Operands {
public:
  explicit Operands(const Site& site)
      : site_(site), all_(site.operands()), shape(matrix_shape(site.program, site.instruction())) {}

  // A part of the operands by their instructions.
  struct Part {
    std::size_t first, count;
  };
  std::vector<Symbolic> values(Part part) const {
    std::vector<Symbolic> values;
    values.reserve(part.count);
    for (std::size_t k = 0; k < part.count; ++k) values.push_back(site_.value(operand(part, k)));
    return values;
  }
  std::vector<Symbolic> results() const {
    Builder& builder = Symbolic::builder();
    std::vector<Symbolic> results;
    results.reserve(shape.results());
    for (Index k = 0; k < shape.results(); ++k)
      results.push_back(Symbolic::of(builder.emit(Opcode::Element, site_.result().index(), k)));
    return results;
  }
  Index operand(Part part, std::size_t k) const { return all_[kMatrixSizes + part.first + k]; }

private:
  const Site& site_;
  const std::vector<Index> all_;

public:
  const MatrixShape shape;
};

// The adjoints of the results at a site, and those of its operands.
class Pullback : public Operands {
public:
  Pullback(const Site& site, Adjoints& adjoints)
      : Operands(site), adjoints_(adjoints), varies_(adjoints.varies(site.i)),
        may_be_infinite_(adjoints.may_be_infinite(site.i)),
        results_(shape.results(), Symbolic(0.0)) {
    const auto terms = adjoints.take_results(site.i);
    is_flat = terms.empty();
    for (const auto& [which, adjoint] : terms) {
      Symbolic& result = results_[which];
      result = is_zero(result) ? Symbolic::of(adjoint) : result + Symbolic::of(adjoint);
    }
  }

  bool is_flat = false; // its results have no adjoints
  const std::vector<Symbolic>& of_results() const { return results_; }
  bool is_active(Part part) const {
    for (std::size_t k = 0; k < part.count; ++k)
      if (adjoints_.is_active(operand(part, k))) return true;
    return false;
  }
  void add(Part part, const std::vector<Symbolic>& terms) {
    for (std::size_t k = 0; k < part.count; ++k) {
      if (is_zero(terms[k])) continue;
      adjoints_.accumulate(operand(part, k), terms[k], varies_);
      if (may_be_infinite_) adjoints_.set_may_be_infinite(operand(part, k));
    }
  }

private:
  Adjoints& adjoints_;
  const bool varies_, may_be_infinite_;
  std::vector<Symbolic> results_;
};

// The tangents of the operands at a site.
class Pushforward : public Operands {
public:
  Pushforward(const Site& site, const Tangents& tangents) : Operands(site), tangents_(tangents) {}

  bool moves(Part part) const {
    for (std::size_t k = 0; k < part.count; ++k)
      if (tangents_.of[operand(part, k)] != kNone) return true;
    return false;
  }
  std::vector<Symbolic> of(Part part) const {
    std::vector<Symbolic> of;
    for (std::size_t k = 0; k < part.count; ++k) {
      const Index tangent = tangents_.of[operand(part, k)];
      of.push_back(tangent == kNone ? Symbolic(0.0) : Symbolic::of(tangent));
    }
    return of;
  }

private:
  const Tangents& tangents_;
};

std::vector<Symbolic> triangle_of(const Matrix& a) {
  std::vector<Symbolic> triangle;
  for (std::size_t i = 0; i < a.rows; ++i)
    for (std::size_t j = 0; j <= i; ++j) triangle.push_back(a.at(i, j));
  return triangle;
}

// The two rules of a matrix opcode. One that is missing does not compile.
template <Opcode> struct MatrixRule;

// With a = l @ l.T: a' = l' @ l.T + l @ l'.T, so inv(l) @ l' is the lower half of
// inv(l) @ a' @ inv(l).T.
template <> struct MatrixRule<Opcode::Cholesky> {
  static void pullback(Pullback& at) {
    const std::size_t n = at.shape.rows;
    const std::vector<Symbolic> l = at.results();
    at.add({0, triangle_size(n)},
           emit_matrices(Opcode::CholeskyPullback, n, 1, 0, {&l, &at.of_results()}));
  }
  static std::vector<Symbolic> pushforward(const Pushforward& at) {
    const std::size_t n = at.shape.rows;
    const std::vector<Symbolic> l = at.results();
    Matrix a = unpacked(at.of({0, triangle_size(n)}), n);
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = 0; j < i; ++j) a.at(j, i) = a.at(i, j);
    const Matrix inner =
        lower_half(solved(l, As::Transposed, true, solved(l, As::Given, false, a)));
    return triangle_of(product(unpacked(l, n), As::Given, inner, As::Given));
  }
};

// It is made of others, with c the lower half of l.T @ l', as c' = inv(l).T @ c @ inv(l), of which
// both triangles count; its derivatives are those of the program of that.
template <> struct MatrixRule<Opcode::CholeskyPullback> {
  static void pullback(Pullback& at) {
    const std::size_t size = triangle_size(at.shape.rows);
    const Program made = made_of_others(at.shape.rows);
    const Program swept = reverse(made, all_inputs(made), true, Symbolic::builder().passes());
    std::vector<Symbolic> given = at.values({0, 2 * size});
    given.insert(given.end(), at.of_results().begin(), at.of_results().end());
    std::vector<Symbolic> terms = inlined(swept, given);
    terms.erase(terms.begin(), terms.begin() + static_cast<std::ptrdiff_t>(size));
    at.add({0, 2 * size}, terms);
  }
  static std::vector<Symbolic> pushforward(const Pushforward& at) {
    const std::size_t size = triangle_size(at.shape.rows);
    const Program made = made_of_others(at.shape.rows);
    const Program moved = tangent(made, all_inputs(made), Symbolic::builder().passes());
    std::vector<Symbolic> given = at.values({0, 2 * size});
    const std::vector<Symbolic> tangents = at.of({0, 2 * size});
    given.insert(given.end(), tangents.begin(), tangents.end());
    std::vector<Symbolic> results = inlined(moved, given);
    results.erase(results.begin(), results.begin() + static_cast<std::ptrdiff_t>(size));
    return results;
  }

private:
  static Wanted all_inputs(const Program& program) {
    Wanted all;
    all.inputs.resize(program.input_count);
    std::iota(all.inputs.begin(), all.inputs.end(), Index{0});
    return all;
  }
  static Program made_of_others(std::size_t n) {
    return build(Symbolic::builder().passes(), [=](Builder& builder) {
      const Symbolic::Writing writing(builder);
      std::vector<Symbolic> l, g;
      for (std::vector<Symbolic>* triangle : {&l, &g})
        for (std::size_t k = 0; k < triangle_size(n); ++k)
          triangle->push_back(Symbolic::of(builder.input()));
      const Matrix c =
          lower_half(product(unpacked(l, n), As::Transposed, unpacked(g, n), As::Given));
      const Matrix s = solved(l, As::Given, true, solved(l, As::Transposed, false, c));
      for (std::size_t i = 0; i < n; ++i)
        for (std::size_t j = 0; j <= i; ++j)
          builder.output((i == j ? s.at(i, i) : s.at(i, j) + s.at(j, i)).index());
    });
  }
  // The outputs of a program of these inputs, whose instructions are written here.
  static std::vector<Symbolic> inlined(const Program& program,
                                       const std::vector<Symbolic>& inputs) {
    Builder& builder = Symbolic::builder();
    std::vector<Index> places;
    places.reserve(program.size());
    for (const Symbolic input : inputs) places.push_back(input.index());
    for (std::size_t i = program.input_count; i < program.size(); ++i)
      places.push_back(builder.copy(program, program.instructions[i], places));
    std::vector<Symbolic> outputs;
    outputs.reserve(program.outputs.size());
    for (const Index output : program.outputs) outputs.push_back(Symbolic::of(places[output]));
    return outputs;
  }
};

template <> struct MatrixRule<Opcode::LuFactors> { // see is_flat
  static void pullback(Pullback& /*at*/) {}
  static std::vector<Symbolic> pushforward(const Pushforward& /*at*/) { return {}; }
};

// With a @ x = b: a @ x' = b' - a' @ x. The matrix is an operand behind its factors, the pivots and
// b.
template <> struct MatrixRule<Opcode::LuSolve> {
  struct Parts {
    Operands::Part factors, b, a;
    std::size_t n, k;
    As as;

    explicit Parts(const MatrixShape& shape)
        : factors{0, shape.rows * shape.rows + shape.rows},
          b{factors.count, shape.rows * shape.columns},
          a{factors.count + b.count, shape.rows * shape.rows}, n(shape.rows), k(shape.columns),
          as(shape.has(kTransposed) ? As::Transposed : As::Given) {}

    Matrix solved(const Operands& at, As how, const std::vector<Symbolic>& right) const {
      const std::vector<Symbolic> found = at.values(factors), matrix = at.values(a);
      return {n, k,
              emit_matrices(Opcode::LuSolve, n, k, how == As::Transposed ? kTransposed : 0u,
                            {&found, &right, &matrix})};
    }
  };

  static void pullback(Pullback& at) {
    const Parts parts(at.shape);
    const Matrix x{parts.n, parts.k, at.results()};
    const Matrix b = parts.solved(at, transposed(parts.as), at.of_results());
    if (at.is_active(parts.a)) {
      const auto& [left, right] = parts.as == As::Given ? std::tie(b, x) : std::tie(x, b);
      at.add(parts.a, negated(product(left, As::Given, right, As::Transposed)).elements);
    }
    at.add(parts.b, b.elements);
  }
  static std::vector<Symbolic> pushforward(const Pushforward& at) {
    const Parts parts(at.shape);
    Matrix right{parts.n, parts.k, at.of(parts.b)};
    if (at.moves(parts.a)) {
      const Matrix a{parts.n, parts.n, at.of(parts.a)}, x{parts.n, parts.k, at.results()};
      right = difference(std::move(right), product(a, parts.as, x, As::Given));
    }
    return parts.solved(at, parts.as, right.elements).elements;
  }
};

// The same of a triangle, and of x @ a = b.
template <> struct MatrixRule<Opcode::TriangularSolve> {
  struct Parts {
    Operands::Part a, b;
    std::size_t n, rows, columns; // of the triangle, and of x and b
    As as;
    bool from_right;

    explicit Parts(const MatrixShape& shape)
        : a{0, triangle_size(shape.rows)}, b{a.count, shape.rows * shape.columns}, n(shape.rows),
          rows(shape.has(kFromRight) ? shape.columns : shape.rows),
          columns(shape.has(kFromRight) ? shape.rows : shape.columns),
          as(shape.has(kTransposed) ? As::Transposed : As::Given),
          from_right(shape.has(kFromRight)) {}
  };

  static void pullback(Pullback& at) {
    const Parts parts(at.shape);
    const std::vector<Symbolic> triangle = at.values(parts.a);
    const Matrix x{parts.rows, parts.columns, at.results()};
    const Matrix g{parts.rows, parts.columns, at.of_results()};
    const Matrix b = solved(triangle, transposed(parts.as), parts.from_right, g);
    if (at.is_active(parts.a)) at.add(parts.a, triangle_of(negated(by_triangle(parts, x, b))));
    at.add(parts.b, b.elements);
  }
  static std::vector<Symbolic> pushforward(const Pushforward& at) {
    const Parts parts(at.shape);
    Matrix right{parts.rows, parts.columns, at.of(parts.b)};
    if (at.moves(parts.a)) {
      const Matrix a = unpacked(at.of(parts.a), parts.n);
      const Matrix x{parts.rows, parts.columns, at.results()};
      right = difference(std::move(right), parts.from_right ? product(x, As::Given, a, parts.as)
                                                            : product(a, parts.as, x, As::Given));
    }
    return solved(at.values(parts.a), parts.as, parts.from_right, right).elements;
  }

private:
  static Matrix by_triangle(const Parts& parts, const Matrix& x, const Matrix& b) {
    const bool first_b = parts.from_right == (parts.as == As::Transposed);
    const auto& [one, other] = first_b ? std::tie(b, x) : std::tie(x, b);
    return parts.from_right ? product(one, As::Transposed, other, As::Given)
                            : product(one, As::Given, other, As::Transposed);
  }
};

template <> struct MatrixRule<Opcode::MatrixProduct> {
  struct Parts {
    Operands::Part a, b;
    std::size_t rows, columns, inner;
    As as_a, as_b;

    explicit Parts(const MatrixShape& shape)
        : a{0, shape.rows * shape.inner}, b{a.count, shape.inner * shape.columns}, rows(shape.rows),
          columns(shape.columns), inner(shape.inner),
          as_a(shape.has(kTransposed) ? As::Transposed : As::Given),
          as_b(shape.has(kSecondTransposed) ? As::Transposed : As::Given) {}

    Matrix first(std::vector<Symbolic> elements) const {
      const bool given = as_a == As::Given;
      return {given ? rows : inner, given ? inner : rows, std::move(elements)};
    }
    Matrix second(std::vector<Symbolic> elements) const {
      const bool given = as_b == As::Given;
      return {given ? inner : columns, given ? columns : inner, std::move(elements)};
    }
  };

  static void pullback(Pullback& at) {
    const Parts parts(at.shape);
    const Matrix a = parts.first(at.values(parts.a)), b = parts.second(at.values(parts.b));
    const Matrix g{parts.rows, parts.columns, at.of_results()};
    if (at.is_active(parts.a))
      at.add(parts.a, (parts.as_a == As::Given ? product(g, As::Given, b, transposed(parts.as_b))
                                               : product(b, parts.as_b, g, As::Transposed))
                          .elements);
    if (at.is_active(parts.b))
      at.add(parts.b, (parts.as_b == As::Given ? product(a, transposed(parts.as_a), g, As::Given)
                                               : product(g, As::Transposed, a, parts.as_a))
                          .elements);
  }
  static std::vector<Symbolic> pushforward(const Pushforward& at) {
    const Parts parts(at.shape);
    const Matrix a = parts.first(at.values(parts.a)), b = parts.second(at.values(parts.b));
    const auto by_first = [&] {
      return product(parts.first(at.of(parts.a)), parts.as_a, b, parts.as_b);
    };
    const auto by_second = [&] {
      return product(a, parts.as_a, parts.second(at.of(parts.b)), parts.as_b);
    };
    if (!at.moves(parts.a)) return by_second().elements;
    if (!at.moves(parts.b)) return by_first().elements;
    return sum(by_first(), by_second()).elements;
  }
};

// Calls visit(rule) with that of a matrix opcode.
template <class Visit> void visit_rule(Opcode opcode, Visit&& visit) {
  switch (opcode) {
#define ARENAGRAD_MATRIX_OPCODE(Id)                                                                \
  case Opcode::Id:                                                                                 \
    return visit(MatrixRule<Opcode::Id>{});
#include "program/ir/opcodes.def"
  default:
    return;
  }
}

} // namespace

void pullback_of_matrices(const Site& site, Adjoints& adjoints) {
  const Symbolic::NoNan no_nan(adjoints.may_be_infinite(site.i));
  Pullback at(site, adjoints);
  if (!at.is_flat) visit_rule(at.shape.opcode, [&](auto rule) { rule.pullback(at); });
}

void pushforward_of_matrices(const Site& site, Tangents& tangents) {
  if (is_flat(site.instruction().opcode)) return;
  const Pushforward at(site, tangents);
  std::vector<Index>& results = tangents.of_results[site.i];
  visit_rule(at.shape.opcode, [&](auto rule) {
    for (const Symbolic result : rule.pushforward(at)) results.push_back(result.index());
  });
  tangents.of[site.i] = Symbolic(0.0).index();
}

} // namespace arenagrad::program
