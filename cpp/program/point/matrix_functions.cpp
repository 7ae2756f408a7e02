#include "matrix_functions.h"

#include <algorithm>
#include <list>

#include "program/ir/matrix.h"
#include "program/passes/symbolic_lists.h"

namespace arenagrad::program {
namespace {

using Numbers = std::vector<Symbolic>;

// Writes the program of one function.
class Writer {
public:
  explicit Writer(const MatrixCall& call) : call_(call), writing_(builder_) {}

  Program run() {
    const std::size_t n = call_.rows, right = n * call_.columns;
    switch (call_.function) {
    case MatrixFunction::Cholesky:
      finish(matrices(Opcode::Cholesky, 1, {inputs(triangle_size(n))}, call_.checked));
      break;
    case MatrixFunction::SolveTriangular: {
      const Numbers a = inputs(triangle_size(n)), b = inputs(right);
      finish(matrices(Opcode::TriangularSolve, call_.columns, {a, b}, call_.checked));
      break;
    }
    case MatrixFunction::Solve: {
      const Numbers a = inputs(n * n), b = inputs(right);
      factor(a);
      finish({factors_.state, solve(b, call_.columns)});
      break;
    }
    case MatrixFunction::Inverse:
      factor(inputs(n * n));
      finish({factors_.state, solve(identity(), n)});
      break;
    case MatrixFunction::Determinant:
      factor(inputs(n * n));
      finish({factors_.state, {determinant()}});
      break;
    case MatrixFunction::Slogdet:
      factor(inputs(n * n));
      finish({factors_.state, {sign(), log_size()}});
    }
    return builder_.finish();
  }

private:
  struct Results {
    Index state;
    Numbers numbers;
  };

  // Requires that all inputs are asked for before anything is written.
  Numbers inputs(std::size_t count) {
    Numbers inputs;
    for (std::size_t k = 0; k < count; ++k) inputs.push_back(Symbolic::of(builder_.input()));
    return inputs;
  }

  Results matrices(Opcode opcode, std::size_t columns, const std::vector<Numbers>& parts,
                   bool checked) {
    const double sizes[kMatrixSizes] = {static_cast<double>(call_.rows),
                                        static_cast<double>(columns),
                                        call_.transposed ? double{kTransposed} : 0.0};
    std::vector<Index> operands;
    for (const double size : sizes) operands.push_back(builder_.constant(size));
    for (const Numbers& part : parts)
      for (const Symbolic number : part) operands.push_back(number.index());
    const std::size_t count = matrix_shape(opcode, sizes, operands.size()).results();
    Results results{builder_.emit_many(opcode, operands, checked), {}};
    for (Index k = 0; k < count; ++k)
      results.numbers.push_back(Symbolic::of(builder_.emit(Opcode::Element, results.state, k)));
    return results;
  }

  void factor(Numbers a) {
    a_ = std::move(a);
    factors_ = matrices(Opcode::LuFactors, 1, {a_}, call_.checked);
  }
  Numbers solve(const Numbers& right, std::size_t columns) {
    return matrices(Opcode::LuSolve, columns, {factors_.numbers, right, a_}, false).numbers;
  }
  Numbers identity() {
    Numbers identity(call_.rows * call_.rows, Symbolic(0.0));
    for (std::size_t i = 0; i < call_.rows; ++i) identity[i * call_.rows + i] = 1.0;
    return identity;
  }

  Symbolic pivot(std::size_t i) const { return factors_.numbers[i * call_.rows + i]; }
  // 1 or -1, by whether the rows are in an even or an odd order.
  Symbolic parity() const {
    Symbolic parity = 1.0;
    for (std::size_t i = 0; i < call_.rows; ++i) {
      const Symbolic at = factors_.numbers[call_.rows * call_.rows + i];
      parity = parity * select(at == static_cast<double>(i + 1), 1.0, -1.0);
    }
    return parity;
  }
  Symbolic sign() const {
    Symbolic y = parity();
    for (std::size_t i = 0; i < call_.rows; ++i) y = y * arenagrad::program::sign(pivot(i));
    return y;
  }

  // The factors have no derivatives, so they are said: by the matrix, that of the logarithm of the
  // determinant is the transpose of the inverse.
  Symbolic log_size() {
    Numbers terms;
    for (std::size_t i = 0; i < call_.rows; ++i) terms.push_back(log(fabs(pivot(i))));
    const Numbers inverse = solve(identity(), call_.rows);
    Numbers partials;
    for (std::size_t i = 0; i < call_.rows; ++i)
      for (std::size_t j = 0; j < call_.rows; ++j) partials.push_back(inverse[j * call_.rows + i]);
    return with_partials(sum(terms), a_, partials);
  }
  Symbolic determinant() {
    Symbolic y = parity();
    for (std::size_t i = 0; i < call_.rows; ++i) y = y * pivot(i);
    const Symbolic log = log_size();
    return with_partials(y, {log}, {sign() * exp(log)});
  }
  static Symbolic with_partials(Symbolic value, const Numbers& by, const Numbers& partials) {
    Numbers operands{value};
    operands.insert(operands.end(), by.begin(), by.end());
    operands.insert(operands.end(), partials.begin(), partials.end());
    return emit_list(Opcode::WithPartials, operands);
  }

  void finish(const Results& results) {
    builder_.output(results.state);
    for (const Symbolic number : results.numbers) builder_.output(number.index());
  }

  const MatrixCall call_;
  Builder builder_{Passes::none()};
  const Symbolic::Writing writing_;
  Numbers a_;
  Results factors_{};
};

struct Made {
  MatrixCall call;
  std::shared_ptr<PointFunction> function;
};

// Forgets those used longest ago, beyond this many bytes of programs, but for the last.
void forget(std::list<Made>& made) {
  constexpr std::size_t kMostBytes = std::size_t{1} << 25;
  std::size_t bytes = 0;
  for (auto at = made.begin(); at != made.end(); ++at) {
    bytes += at->function->program().bytes();
    if (bytes <= kMostBytes || at == made.begin()) continue;
    made.erase(at, made.end());
    return;
  }
}

} // namespace

std::shared_ptr<PointFunction> matrix_function(const MatrixCall& call) {
  static auto& made = *new std::list<Made>; // the last used first; threads may outlive exit()
  const auto known = std::ranges::find(made, call, &Made::call);
  if (known != made.end()) {
    made.splice(made.begin(), made, known);
  } else {
    // Strict: adjoints are added up in the order of a sweep, in compiled functions too.
    made.push_front({call, std::make_shared<PointFunction>(Writer(call).run(), true)});
    forget(made);
  }
  return made.front().function;
}

const char* failure_of(MatrixFunction function) {
  switch (function) {
  case MatrixFunction::Cholesky:
    return matrix_failure(Opcode::Cholesky);
  case MatrixFunction::SolveTriangular:
    return matrix_failure(Opcode::TriangularSolve);
  default:
    return matrix_failure(Opcode::LuFactors);
  }
}

} // namespace arenagrad::program
