#include "point_plan.h"

#include <algorithm>
#include <cmath>

#include "steps.h"

namespace arenagrad::program {

using namespace point;

struct PointPlan::Body {
  Steps steps;
};

namespace {

// Instructions one by one; returns where the next step is.
template <Opcode kOpcode> const Index* one_by_one(double* v, const Index* at, std::size_t n) {
  constexpr std::size_t kCount = operand_count(kOpcode);
  double* y = v + *at++;
  for (std::size_t i = 0; i < n; ++i, at += kCount)
    y[i] = evaluate(kOpcode, v[at[0]], kCount > 1 ? v[at[1]] : 0.0, kCount > 2 ? v[at[2]] : 0.0);
  return at;
}

// A block of an operand, gathered if need be.
Strided lane(Way way, const double* v, const Index* at, std::size_t from, std::size_t n,
             double* scratch) {
  if (way == kStep) return {v + at[0] + from, 1};
  if (way == kSame) return {v + at[0], 0};
  for (std::size_t i = 0; i < n; ++i) scratch[i] = v[at[from + i]];
  return {scratch, 1};
}

const Index* run_map(const Steps& steps, Head head, const Index* at, double* v, double* scratch) {
  const Map step = take<Map>(at);
  const std::size_t count = operand_count(static_cast<Opcode>(head.opcode));
  const Kernels::Map map = steps.kernels->map[head.opcode];
  const Index* operands[3] = {at, at, at};
  bool whole = true;
  for (std::size_t k = 0; k < count; ++k) {
    operands[k] = at;
    whole = whole && head.way(k) != kList;
    at += head.way(k) == kList ? step.n : 1;
  }
  const std::size_t most = whole ? step.n : kBlock;
  for (std::size_t from = 0; from < step.n; from += most) {
    const std::size_t n = std::min<std::size_t>(most, step.n - from);
    Strided lanes[3] = {{v, 0}, {v, 0}, {v, 0}};
    for (std::size_t k = 0; k < count; ++k)
      lanes[k] = lane(head.way(k), v, operands[k], from, n, scratch + k * kBlock);
    map(v + step.to + from, lanes[0], lanes[1], lanes[2], n);
  }
  return at;
}

const Index* run_tanh(const Steps& steps, Head head, const Index* at, double* v, double* scratch) {
  const Tanh step = take<Tanh>(at);
  const std::size_t most = head.way(0) == kList ? kBlock : step.n;
  const Kernels::Map map = steps.kernels->map[static_cast<std::size_t>(Opcode::Tanh)];
  for (std::size_t from = 0; from < step.n; from += most) {
    const std::size_t n = std::min<std::size_t>(most, step.n - from);
    const Strided a = lane(head.way(0), v, at, from, n, scratch);
    double* y = v + step.to + from;
    if (step.partial == kNone || a.step == 0)
      map(y, a, a, a, n);
    else
      steps.kernels->tanh_and_partial(y, v + step.partial + from, a.at, n);
  }
  return at + (head.way(0) == kList ? step.n : 1);
}

const Index* run_matrix(const Steps& steps, const Index* at, double* v, double* scratch) {
  const Matrix step = take<Matrix>(at);
  const double *vector = v, *start = nullptr;
  if (step.vector != kNone) {
    vector += step.vector;
  } else {
    for (std::size_t k = 0; k < step.columns; ++k) scratch[k] = v[at[k]];
    at += step.columns;
    vector = scratch;
    scratch += step.columns;
  }
  if (step.start != kNone) {
    start = v + step.start;
    if (step.start_step != 1 && step.rows > 1) {
      for (std::size_t r = 0; r < step.rows; ++r) scratch[r] = start[r * step.start_step];
      start = scratch;
    }
  }
  steps.kernels->matrix_vector(v + step.to, v + step.matrix, step.row_step, step.column_step,
                               vector, step.vector_step, step.rows, step.columns, start);
  return at;
}

const Index* run_lanes(const Steps& steps, Head head, const Index* at, double* v) {
  const Many step = take<Many>(at);
  Strided lanes[kMostLanes];
  for (std::size_t k = 0; k < step.count; ++k)
    lanes[k] = {v + (at[k] & ~kBeside), (at[k] & kBeside) != 0 ? 1u : 0u};
  const bool sum = static_cast<Opcode>(head.opcode) == Opcode::SumN;
  (sum ? steps.kernels->sum : steps.kernels->dot)(v + step.to, lanes, step.count, step.n);
  return at + step.count;
}

// Sums of term(0), ..., in four chains if the order is free, so that none waits for the others.
template <class Term> double chains(double y, std::size_t n, bool strict, Term&& term) {
  std::size_t i = 0;
  if (!strict && n >= 8) {
    double more[3] = {};
    for (; i + 4 <= n; i += 4) {
      y += term(i);
      for (std::size_t k = 0; k < 3; ++k) more[k] += term(i + k + 1);
    }
    y += more[0] + (more[1] + more[2]);
  }
  for (; i < n; ++i) y += term(i);
  return y;
}

double sum_of(const double* v, const Index* at, std::size_t n, bool strict) {
  return chains(v[at[0]], n - 1, strict, [=](std::size_t i) { return v[at[i + 1]]; });
}

double dot_of(const double* v, const Index* at, std::size_t n, bool strict) {
  const DotView dot = core::dot_view(at, n);
  const double start = dot.has_start() ? v[*dot.start] : 0.0;
  return chains(start, dot.terms, strict, [=](std::size_t k) { return v[dot.w[k]] * v[dot.x[k]]; });
}

const Index* run_lists(const Steps& steps, Head head, const Index* at, double* v, double* scratch) {
  const Many step = take<Many>(at);
  const std::size_t count = step.count;
  const Opcode opcode = static_cast<Opcode>(head.opcode);
  for (std::size_t i = 0; i < step.n; ++i, at += count) {
    double& y = v[step.to + i];
    if (opcode == Opcode::SumN && count > 0) {
      y = sum_of(v, at, count, steps.strict);
    } else if (opcode == Opcode::DotN) {
      y = dot_of(v, at, count, steps.strict);
    } else {
      for (std::size_t k = 0; k < count; ++k) scratch[k] = v[at[k]];
      y = many_value(opcode, count, scratch, scratch + count);
    }
  }
  return at;
}

bool all_finite(const Steps& steps, const double* a, std::size_t n) {
  if (n > 8) return steps.kernels->finite(a, n);
  bool finite = true;
  for (std::size_t i = 0; i < n; ++i) finite = finite && std::isfinite(a[i]);
  return finite;
}

void run_outer(const Steps& steps, const Outer& step, double* v) {
  steps.kernels->outer(v + step.to, v + step.a, v + step.b, step.rows, step.columns);
}

// Whether all checked numbers are finite.
bool run_steps(const Steps& steps, double* v) {
  double* scratch = v + steps.values;
  bool finite = true;
  for (const Index* at = steps.words.data();;) {
    const Head head = take<Head>(at);
    switch (head.kind) {
#define ARENAGRAD_OP(Id, ...)                                                                      \
  case static_cast<std::uint8_t>(Opcode::Id):                                                      \
    at = one_by_one<Opcode::Id>(v, at, head.count);                                                \
    break;
#include "core/ops.def"
#define ARENAGRAD_OPCODE(Id, ...)                                                                  \
  case static_cast<std::uint8_t>(Opcode::Id):                                                      \
    at = one_by_one<Opcode::Id>(v, at, head.count);                                                \
    break;
#include "program/ir/opcodes.def"
    case kMap:
      at = run_map(steps, head, at, v, scratch);
      break;
    case kTanh:
      at = run_tanh(steps, head, at, v, scratch);
      break;
    case kOuter:
      run_outer(steps, take<Outer>(at), v);
      break;
    case kMatrix:
      at = run_matrix(steps, at, v, scratch);
      break;
    case kLanes:
      at = run_lanes(steps, head, at, v);
      break;
    case kLists:
      at = run_lists(steps, head, at, v, scratch);
      break;
    case kCheck: {
      const Check step = take<Check>(at);
      finite = finite && all_finite(steps, v + step.from, step.n);
      break;
    }
    default:
      return finite;
    }
  }
}

} // namespace

PointPlan::PointPlan(const Program& program, bool strict)
    : body_(std::make_shared<const Body>(Body{plan(program, strict)})) {
  workspace_ = body_->steps.values + body_->steps.scratch;
}

Outcome PointPlan::run(const double* inputs, double* outputs, double* workspace) const {
  const Steps& steps = body_->steps;
  double* v = workspace;
  if (steps.input_count != 0) std::memcpy(v, inputs, steps.input_count * sizeof *v);
  if (!steps.constants.empty())
    std::memcpy(v + steps.input_count, steps.constants.data(), steps.constants.size() * sizeof *v);
  Outcome outcome;
  outcome.finite = run_steps(steps, v);
  for (std::size_t k = 0; k < steps.copies.size(); k += 2) {
    const double* from = v + steps.copies[k];
    const std::size_t n = steps.copies[k + 1];
    if (n < 8)
      for (std::size_t i = 0; i < n; ++i) outputs[i] = from[i];
    else
      std::memcpy(outputs, from, n * sizeof *v);
    outputs += n;
  }
  for (std::size_t k = 0; k < steps.guards.size(); ++k)
    if ((v[steps.guards[k].condition] != 0.0) != steps.guards[k].outcome) {
      outcome.guard = static_cast<Index>(k);
      break;
    }
  return outcome;
}

std::size_t PointPlan::groups() const { return body_->steps.groups; }

std::string PointPlan::text() const { return point::text(body_->steps); }

std::size_t PointPlan::bytes() const {
  const Steps& steps = body_->steps;
  const auto of = [](const auto& array) { return array.size() * sizeof(array[0]); };
  return sizeof(Body) + of(steps.words) + of(steps.copies) + of(steps.guards) + of(steps.constants);
}

} // namespace arenagrad::program
