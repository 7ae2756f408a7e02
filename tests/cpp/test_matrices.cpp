// Instructions that compute with matrices, by the plain loops that stand in for LAPACK here:
// numbers against what they are the solution of, derivatives against differences, plans against the
// interpreter, and files that say what cannot be.
#include <doctest/doctest.h>

#include "batch.h"
#include "core/bytes.h"
#include "program/ir/domain_check.h"
#include "program/ir/matrix.h"
#include "program/ir/program_format.h"
#include "program/point/matrix_functions.h"
#include "program_cases.h"

using namespace arenagrad;
using namespace arenagrad::program;
using cases::all_of;
using cases::difference;
using cases::run;

namespace {

using Doubles = std::vector<double>;

std::vector<Symbolic> inputs(Builder& builder, std::size_t count) {
  std::vector<Symbolic> all;
  for (std::size_t k = 0; k < count; ++k) all.push_back(Symbolic::of(builder.input()));
  return all;
}

std::vector<Symbolic> emit(Builder& builder, const MatrixShape& shape,
                           const std::vector<Symbolic>& numbers, bool checked = false) {
  std::vector<Index> operands;
  for (const std::size_t size : {shape.rows, shape.columns, std::size_t{shape.flags}})
    operands.push_back(builder.constant(static_cast<double>(size)));
  for (const Symbolic number : numbers) operands.push_back(number.index());
  const Index matrices = builder.emit_many(shape.opcode, operands, checked);
  std::vector<Symbolic> results;
  for (Index k = 0; k < shape.results(); ++k)
    results.push_back(Symbolic::of(builder.emit(Opcode::Element, matrices, k)));
  return results;
}

std::vector<Symbolic> joined(std::vector<Symbolic> one, const std::vector<Symbolic>& other) {
  one.insert(one.end(), other.begin(), other.end());
  return one;
}

// The instruction on inputs; of a LuSolve behind the factors of the matrix, which comes first.
std::vector<Symbolic> on_inputs(Builder& builder, const MatrixShape& shape) {
  if (shape.opcode != Opcode::LuSolve)
    return emit(builder, shape, inputs(builder, shape.operands()));
  const std::size_t square = shape.rows * shape.rows;
  const std::vector<Symbolic> all = inputs(builder, square + shape.rows * shape.columns);
  const auto middle = all.begin() + static_cast<std::ptrdiff_t>(square);
  const std::vector<Symbolic> a(all.begin(), middle), b(middle, all.end());
  const std::vector<Symbolic> factors = emit(builder, {Opcode::LuFactors, shape.rows, 1}, a);
  return emit(builder, shape, joined(joined(factors, b), a));
}

// Results, or a number that has derivatives of every order by all operands.
Program program_of(const MatrixShape& shape, bool one_number, const Passes& passes = Passes{}) {
  Builder builder(passes);
  const Symbolic::Writing writing(builder);
  const std::vector<Symbolic> results = on_inputs(builder, shape);
  Symbolic total = 0.0;
  for (std::size_t k = 0; k < results.size(); ++k) {
    if (!one_number) builder.output(results[k].index());
    total = total + (0.3 + 0.2 * static_cast<double>(k)) * results[k] * results[k];
  }
  if (one_number) builder.output(total.index());
  return builder.finish();
}

std::vector<MatrixShape> shapes(std::size_t n) {
  std::vector<MatrixShape> all{{Opcode::Cholesky, n, 1}, {Opcode::CholeskyPullback, n, 1}};
  for (unsigned flags = 0; flags < 4; ++flags)
    for (const std::size_t columns : {std::size_t{1}, std::size_t{2}}) {
      all.push_back({Opcode::TriangularSolve, n, columns, 0, flags});
      if (flags < 2) all.push_back({Opcode::LuSolve, n, columns, 0, flags});
      all.push_back({Opcode::MatrixProduct, n, columns, n + 1, flags});
      all.push_back({Opcode::MatrixProduct, n, columns, 1, flags});
    }
  return all;
}

// Doubles with which nothing is singular: a triangle with a large diagonal.
Doubles point(const MatrixShape& shape, Random& random) {
  std::uniform_real_distribution<double> numbers(-1.0, 1.0);
  const std::size_t square = shape.rows * shape.rows;
  Doubles x(shape.opcode == Opcode::LuSolve ? square + shape.rows * shape.columns
                                            : shape.operands());
  for (double& number : x) number = numbers(random);
  const bool packed = shape.opcode != Opcode::LuSolve && shape.opcode != Opcode::MatrixProduct;
  for (std::size_t i = 0; packed && i < shape.rows; ++i)
    x[triangle_row(i) + i] += 2.0 + static_cast<double>(shape.rows);
  for (std::size_t i = 0; shape.opcode == Opcode::LuSolve && i < shape.rows; ++i)
    x[i * shape.rows + (i + 1) % shape.rows] += 3.0; // the pivots are not on the diagonal
  return x;
}

// Row by row, transposed if asked for, of m rows and n columns as it stands.
struct View {
  const double* at;
  std::size_t m, n;
  bool transposed;

  std::size_t rows() const { return transposed ? n : m; }
  std::size_t columns() const { return transposed ? m : n; }
  double operator()(std::size_t i, std::size_t j) const {
    return transposed ? at[j * n + i] : at[i * n + j];
  }
};

Doubles product(const View& a, const View& b) {
  Doubles y;
  for (std::size_t i = 0; i < a.rows(); ++i)
    for (std::size_t j = 0; j < b.columns(); ++j) {
      y.push_back(0.0);
      for (std::size_t k = 0; k < a.columns(); ++k) y.back() += a(i, k) * b(k, j);
    }
  return y;
}

Doubles square_of(const Doubles& triangle, std::size_t n) {
  Doubles a(n * n, 0.0);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j <= i; ++j) a[i * n + j] = triangle[triangle_row(i) + j];
  return a;
}

// How far the results are from what they have to be.
double residual(const MatrixShape& shape, const Doubles& x, const Doubles& y) {
  const std::size_t n = shape.rows, k = shape.columns;
  const bool turned = shape.has(kTransposed);
  Doubles found, wanted;
  if (shape.opcode == Opcode::Cholesky) {
    const Doubles l = square_of(y, n), a = square_of(x, n);
    found = product({l.data(), n, n, false}, {l.data(), n, n, true});
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = 0; j < n; ++j) wanted.push_back(a[std::max(i, j) * n + std::min(i, j)]);
  } else if (shape.opcode == Opcode::MatrixProduct) {
    const View a{x.data(), turned ? shape.inner : n, turned ? n : shape.inner, turned};
    const bool b_turned = shape.has(kSecondTransposed);
    const View b{x.data() + n * shape.inner, b_turned ? k : shape.inner, b_turned ? shape.inner : k,
                 b_turned};
    found = y, wanted = product(a, b);
  } else {
    const bool packed = shape.opcode == Opcode::TriangularSolve;
    const bool from_right = packed && shape.has(kFromRight);
    const Doubles square = packed ? square_of(x, n) : x;
    const View a{square.data(), n, n, turned};
    const View solution{y.data(), from_right ? k : n, from_right ? n : k, false};
    found = from_right ? product(solution, a) : product(a, solution);
    wanted.assign(x.end() - static_cast<std::ptrdiff_t>(n * k), x.end());
  }
  double most = 0.0;
  for (std::size_t i = 0; i < wanted.size(); ++i)
    most = std::max(most, std::fabs(found[i] - wanted[i]));
  return found.size() == wanted.size() ? most : HUGE_VAL;
}

Doubles run_at_point(const Program& program, const Doubles& x, bool strict, bool& finite) {
  const PointPlan plan(program, strict);
  Doubles y(program.outputs.size()), workspace(plan.workspace());
  finite = plan.run(x.data(), y.data(), workspace.data()).finite;
  return y;
}

bool same_bits(const Doubles& one, const Doubles& other) {
  return one.size() == other.size() &&
         std::equal(one.begin(), one.end(), other.begin(), [](double a, double b) {
           return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b);
         });
}

// A Cholesky factor in which one solves, of the first inputs, checked.
Program checked_factor(std::size_t n) {
  Builder builder(kNoPasses);
  const Symbolic::Writing writing(builder);
  const std::vector<Symbolic> all = inputs(builder, triangle_size(n) + n);
  const auto middle = all.begin() + static_cast<std::ptrdiff_t>(triangle_size(n));
  const std::vector<Symbolic> factor =
      emit(builder, {Opcode::Cholesky, n, 1}, {all.begin(), middle}, true);
  for (const Symbolic result :
       emit(builder, {Opcode::TriangularSolve, n, 1}, joined(factor, {middle, all.end()})))
    builder.output(result.index());
  return builder.finish();
}

std::string with_checksum(std::string bytes) {
  bytes.resize(bytes.size() - 4);
  core::put(bytes, core::crc32(bytes));
  return bytes;
}

} // namespace

TEST_CASE("matrices are what they say") {
  Random random(1);
  for (const std::size_t n : {1, 2, 3, 7, 18})
    for (const MatrixShape& shape : shapes(n)) {
      if (shape.opcode == Opcode::CholeskyPullback) continue; // the next case
      CAPTURE(opcode_name(shape.opcode));
      CAPTURE(n);
      CAPTURE(shape.flags);
      const Doubles x = point(shape, random);
      CHECK(residual(shape, x, run(program_of(shape, false), x)) < 1e-12);
    }
}

TEST_CASE("the pullback of a factor is that of differences, in one block and in several") {
  Random random(8);
  for (const std::size_t n : {1, 2, 5, 40, 70}) {
    const Doubles x = point({Opcode::CholeskyPullback, n, 1}, random);
    const Doubles found = run(program_of({Opcode::CholeskyPullback, n, 1}, false), x);
    const Doubles l = square_of(x, n), a = product({l.data(), n, n, false}, {l.data(), n, n, true});
    Doubles triangle;
    for (std::size_t i = 0; i < n; ++i)
      triangle.insert(triangle.end(), a.data() + i * n, a.data() + i * n + i + 1);
    Builder builder(kNoPasses);
    const Symbolic::Writing writing(builder);
    const std::vector<Symbolic> factor =
        emit(builder, {Opcode::Cholesky, n, 1}, inputs(builder, found.size()));
    Symbolic weighted = 0.0;
    for (std::size_t k = 0; k < found.size(); ++k)
      weighted = weighted + factor[k] * x[found.size() + k];
    builder.output(weighted.index());
    const Program program = builder.finish();
    for (std::size_t k = 0; k < found.size(); k += 1 + found.size() / 40)
      CHECK(found[k] == doctest::Approx(difference(program, triangle, k, 0)).epsilon(1e-7));
  }
}

TEST_CASE(
    "the derivatives of matrices agree with differences to the third order, and with tangents") {
  Random random(2);
  for (const MatrixShape& shape : shapes(2)) {
    Program program = program_of(shape, true);
    const Doubles x = point(shape, random);
    CAPTURE(opcode_name(shape.opcode));
    CAPTURE(shape.columns);
    CAPTURE(shape.flags);
    for (int order = 1; order <= 3; ++order) {
      CAPTURE(order);
      const Program partials = reverse(program, all_of(program), false, Passes{});
      const Doubles got = run(partials, x);
      for (std::size_t k = 0; k < x.size(); ++k) {
        const double wanted = difference(program, x, k, 0);
        CHECK(std::fabs(got[1 + k] - wanted) <= 2e-7 * (1.0 + std::fabs(wanted)));
      }
      Doubles with_tangents = x;
      double along = 0.0;
      for (std::size_t k = 0; k < x.size(); ++k) {
        with_tangents.push_back(0.5 + static_cast<double>(k));
        along += got[1 + k] * with_tangents.back();
      }
      const Doubles tangents = run(tangent(program, all_of(program), Passes{}), with_tangents);
      CHECK(tangents[1] == doctest::Approx(along).epsilon(1e-9));
      program = select_outputs(partials, {static_cast<Index>(1 + order % x.size())});
    }
  }
}

TEST_CASE("plans of matrices and of their derivatives give the interpreter's bits") {
  Random random(3);
  for (const MatrixShape& shape : shapes(3)) {
    CAPTURE(opcode_name(shape.opcode));
    const Program value = program_of(shape, true, kNoPasses);
    const Program program = reverse(value, all_of(value), false, kNoPasses);
    const Doubles x = point(shape, random);
    bool finite = false;
    CHECK(same_bits(run_at_point(program, x, true, finite), run(program, x)));
    for (const double share : {0.0, 0.6, 1.0}) { // of inputs that vary
      Batch batch(random, x.size(), 37, share);
      for (std::size_t k = 0; k < x.size(); ++k)
        for (std::size_t r = 0; r < (batch.varies[k] != 0 ? batch.rows : 1); ++r)
          batch.inputs[k][r] = x[k] + 0.01 * static_cast<double>(r);
      Result result = batch.run(program, BatchPlan(program, batch.varies, true), 2);
      for (std::size_t r = 0; r < batch.rows; ++r) {
        const Doubles row = batch.row(program, r);
        for (std::size_t k = 0; k < program.outputs.size(); ++k) {
          const auto varies = varying(program, batch.varies);
          const double found = result.outputs[k][varies[program.outputs[k]] != 0 ? r : 0];
          CHECK(same_bits({found}, {row[program.outputs[k]]}));
        }
      }
    }
  }
}

TEST_CASE("a solve whose derivative is asked for factors its matrix once") {
  const Program program = program_of({Opcode::LuSolve, 3, 1}, true);
  const Program swept = reverse(program, all_of(program), false, Passes{});
  const auto count = [&](Opcode opcode) {
    return std::ranges::count(swept.instructions, opcode, &Instruction::opcode);
  };
  CHECK(count(Opcode::LuFactors) == 1);
  CHECK(count(Opcode::LuSolve) == 2);
  CHECK(count(Opcode::MatrixProduct) == 0); // an outer product is scalar
}

TEST_CASE("a matrix that is not positive definite is a check that says why") {
  const Program program = checked_factor(2);
  const Doubles good{4.0, 2.0, 5.0, 1.0, 1.0}, bad{4.0, 2.0, 1.0, 1.0, 1.0};
  bool finite = false;
  run_at_point(program, good, false, finite);
  CHECK(finite);
  CHECK(!may_refuse(program, good.data()));
  run_at_point(program, bad, false, finite);
  CHECK(!finite);
  CHECK(may_refuse(program, bad.data()));
  CHECK_THROWS_WITH_AS(check_domain(program, bad.data()), "Matrix is not positive definite",
                       core::SingularMatrix);
  Random random(4);
  Batch batch(random, good.size(), 3, 1.0);
  for (std::size_t k = 0; k < good.size(); ++k)
    for (std::size_t r = 0; r < 3; ++r) batch.inputs[k][r] = r == 1 ? bad[k] : good[k];
  Result result = batch.run(program, BatchPlan(program, batch.varies, false));
  CHECK(!result.rows.finite);
  CHECK(result.states ==
        std::vector<RowState>{RowState::Good, RowState::NotFinite, RowState::Good});
}

TEST_CASE("a program with matrices is the same after being written and read") {
  for (const MatrixShape& shape : shapes(3)) {
    const Program program = program_of(shape, true);
    const Program read = read_program(write_program(program));
    CHECK(read.text() == program.text());
    CHECK(same(read, program));
  }
}

TEST_CASE("changed bytes of matrices are refused or still a sound program") {
  Random random(6);
  for (const MatrixShape& shape :
       {MatrixShape{Opcode::LuSolve, 2, 2}, MatrixShape{Opcode::TriangularSolve, 2, 1},
        MatrixShape{Opcode::MatrixProduct, 2, 3, 2}}) {
    const std::string bytes = write_program(program_of(shape, true));
    std::size_t read_anyway = 0;
    for (int turn = 0; turn < 10000; ++turn) {
      std::string changed = bytes;
      for (std::size_t k = 1 + random() % 3; k-- > 0;)
        changed[random() % changed.size()] = static_cast<char>(random() % 4 ? random() % 256 : 255);
      try {
        const Program program = read_program(with_checksum(changed));
        ++read_anyway;
        run(program, Doubles(program.input_count, 0.5));
      } catch (const core::FormatError&) {
      }
    }
    CHECK(read_anyway > 100);
  }
}

TEST_CASE("sizes that do not fit are no matrices") {
  const double too_large[] = {3.0, 1.0, 0.0}, half[] = {1.5, 1.0, 0.0}, none[] = {0.0, 1.0, 0.0};
  for (const double* sizes : {too_large, half, none})
    CHECK_THROWS_AS(matrix_shape(Opcode::Cholesky, sizes, kMatrixSizes + 3), std::invalid_argument);
  Doubles scratch(MatrixShape{Opcode::LuSolve, 2, 1}.scratch()), y(2);
  double* const x = operands_in(scratch.data());
  for (const double pivot : {0.0, 3.0, std::nan("")}) { // of a file
    const double operands[] = {1.0, 0.0, 0.0, 1.0, 1.0, pivot, 1.0, 1.0};
    std::copy(std::begin(operands), std::end(operands), x);
    CHECK(std::isnan(compute({Opcode::LuSolve, 2, 1}, scratch.data(), y.data())));
  }
}

TEST_CASE("functions of matrices are made once, and those used long ago are forgotten") {
  const MatrixCall call{MatrixFunction::Determinant, 3};
  const auto function = matrix_function(call);
  CHECK(matrix_function(call) == function);
  Doubles y(2);
  const Doubles a{0.0, 1.0, 2.0, 1.0, 0.0, 3.0, 4.0, -3.0, 8.0};
  CHECK(function->evaluate(a.data(), y.data()).good());
  CHECK(y[0] == 0.0);
  CHECK(y[1] == doctest::Approx(-2.0));
  for (std::size_t n = 200; n < 260; ++n) matrix_function({MatrixFunction::Cholesky, n});
  CHECK(matrix_function(call) != function);
}
