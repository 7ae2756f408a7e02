// Runs the steps of a PointPlan. The interpreter is one loop over words; each kind of step reads
// its struct and calls a kernel, or does its few instructions itself.
#include <algorithm>
#include <cmath>

#include "program/ir/matrix.h"
#include "steps.h"

namespace arenagrad::program::point {
namespace {

// Instructions one by one; returns where the next step is.
template <Opcode kOpcode> const Index* run_one_by_one(double* v, const Index* at, std::size_t n) {
  constexpr std::size_t kCount = operand_count(kOpcode);
  double* y = v + *at++;
  for (std::size_t i = 0; i < n; ++i, at += kCount)
    y[i] = evaluate(kOpcode, v[at[0]], kCount > 1 ? v[at[1]] : 0.0, kCount > 2 ? v[at[2]] : 0.0);
  return at;
}

bool is_gathered(StepHead head, std::size_t operand) {
  return head.addressing(operand) == Addressing::Gathered;
}

// n numbers of an operand from number `from` on, gathered if need be.
Strided operand_block(Addressing addressing, const double* v, const Index* at, std::size_t from,
                      std::size_t n, double* scratch) {
  if (addressing == Addressing::Contiguous) return {v + at[0] + from, 1};
  if (addressing == Addressing::Same) return {v + at[0], 0};
  for (std::size_t i = 0; i < n; ++i) scratch[i] = v[at[from + i]];
  return {scratch, 1};
}

// Operands that are gathered, block by block.
const Index* run_gathered_map(StepHead head, Kernels::Map map, const MapStep& step, const Index* at,
                              double* v, double* scratch) {
  const std::size_t count = operand_count(head.opcode);
  const Index* operands[3] = {at, at, at};
  for (std::size_t k = 0; k < count; ++k) {
    operands[k] = at;
    at += is_gathered(head, k) ? step.n : 1;
  }
  for (std::size_t from = 0; from < step.n; from += kGatherBlock) {
    const std::size_t n = std::min<std::size_t>(kGatherBlock, step.n - from);
    Strided blocks[3] = {{v, 0}, {v, 0}, {v, 0}};
    for (std::size_t k = 0; k < count; ++k)
      blocks[k] =
          operand_block(head.addressing(k), v, operands[k], from, n, scratch + k * kGatherBlock);
    map(v + step.to + from, blocks[0], blocks[1], blocks[2], n);
  }
  return at;
}

// Operands that are all side by side or the same need no gathering, so the kernel is called once.
const Index* run_map(const Steps& steps, StepHead head, const Index* at, double* v,
                     double* scratch) {
  const MapStep step = read<MapStep>(at);
  const Kernels::Map map = steps.kernels(head).map[static_cast<std::size_t>(head.opcode)];
  if (head.gathers()) return run_gathered_map(head, map, step, at, v, scratch);
  const auto operand = [&](std::size_t k) {
    const Addressing addressing = head.addressing(k);
    const bool is_given = addressing != Addressing::None;
    const Strided found{v + (is_given ? *at : 0), addressing == Addressing::Contiguous ? 1u : 0u};
    at += is_given ? 1 : 0;
    return found;
  };
  const Strided a = operand(0), b = operand(1), c = operand(2);
  map(v + step.to, a, b, c, step.n);
  return at;
}

// One kernel for tanh and its partial, or the map of tanh if nothing needs partials.
const Index* run_tanh(const Steps& steps, StepHead head, const Index* at, double* v,
                      double* scratch) {
  const TanhStep step = read<TanhStep>(at);
  const bool gathered = is_gathered(head, 0);
  const std::size_t most = gathered ? kGatherBlock : step.n;
  const Kernels::Map map = steps.kernels(head).map[static_cast<std::size_t>(Opcode::Tanh)];
  for (std::size_t from = 0; from < step.n; from += most) {
    const std::size_t n = std::min<std::size_t>(most, step.n - from);
    const Strided a = operand_block(head.addressing(0), v, at, from, n, scratch);
    double* y = v + step.to + from;
    if (step.partial == kNone)
      map(y, a, a, a, n);
    else
      steps.kernels(head).tanh_and_partial(y, v + step.partial + from, a.at, n);
  }
  return at + (gathered ? step.n : 1);
}

// The vector is gathered if its numbers do not lie at one distance; so is a start that is not side
// by side, for which kernels have no step.
const Index* run_matrix_vector(const Steps& steps, StepHead head, const Index* at, double* v,
                               double* scratch) {
  const MatrixVectorStep step = read<MatrixVectorStep>(at);
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
  steps.kernels(head).matrix_vector(v + step.to, v + step.matrix, step.row_step, step.column_step,
                                    vector, step.vector_step, step.rows, step.columns, start);
  return at;
}

// The operands of the first instruction and how each steps are enough for all of them.
const Index* run_strided(const Steps& steps, StepHead head, const Index* at, double* v) {
  const NaryStep step = read<NaryStep>(at);
  Strided operands[kMostStrided];
  const double* const columns = steps.columns.data();
  for (std::size_t k = 0; k < step.count; ++k)
    operands[k] = {((at[k] & kColumn) != 0 ? columns : v) + (at[k] & (kColumn - 1)), at[k] >> 31};
  const auto kernel =
      head.opcode == Opcode::SumN ? steps.kernels(head).sum : steps.kernels(head).dot;
  kernel(v + step.to, operands, step.count, step.n);
  return at + step.count;
}

// Sums of term(0), ..., in four chains if the order is free, so that none waits for the others.
template <class Term> double chains(double y, std::size_t n, bool exact, Term&& term) {
  std::size_t i = 0;
  if (!exact && n >= 8) {
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

double sum_of(const double* v, const Index* at, std::size_t n, bool exact) {
  return chains(v[at[0]], n - 1, exact, [=](std::size_t i) { return v[at[i + 1]]; });
}

double dot_of(const double* v, const Index* at, std::size_t n, bool exact) {
  const DotView dot = core::dot_view(at, n);
  const double start = dot.has_start() ? v[*dot.start] : 0.0;
  return chains(start, dot.terms, exact, [=](std::size_t k) { return v[dot.w[k]] * v[dot.x[k]]; });
}

// Sums and dot products read their operands where they are; others want them side by side.
const Index* run_gathered(const Steps& steps, StepHead head, const Index* at, double* v,
                          double* scratch) {
  const NaryStep step = read<NaryStep>(at);
  const std::size_t count = step.count;
  for (std::size_t i = 0; i < step.n; ++i, at += count) {
    double& y = v[step.to + i];
    if (head.opcode == Opcode::SumN && count > 0) {
      y = sum_of(v, at, count, head.is_exact());
    } else if (head.opcode == Opcode::DotN) {
      y = dot_of(v, at, count, head.is_exact());
    } else {
      for (std::size_t k = 0; k < count; ++k) scratch[k] = v[at[k]];
      y = head.opcode == Opcode::Callback
              ? run_call(steps.callbacks, scratch)
              : many_value(head.opcode, count, scratch, scratch + count);
    }
  }
  return at;
}

const Index* run_matrices(StepHead head, const Index* at, double* v, double* scratch) {
  const MatrixStep step = read<MatrixStep>(at);
  double* to = operands_in(scratch);
  for (Index k = 0; k < step.runs; ++k, at += 2) {
    const double* const from = v + (at[0] & ~kSideBySide);
    to = (at[0] & kSideBySide) != 0 ? std::copy_n(from, at[1], to) : std::fill_n(to, at[1], *from);
  }
  const MatrixShape shape{head.opcode, step.rows, step.columns, step.inner, step.flags};
  v[step.to] = compute(shape, scratch, v + step.to + 1);
  return at;
}

// A few numbers are looked at here for less than the call of a kernel.
bool all_finite(const Kernels& kernels, const double* a, std::size_t n) {
  if (n > 8) return kernels.finite(a, n);
  bool finite = true;
  for (std::size_t i = 0; i < n; ++i) finite = finite && std::isfinite(a[i]);
  return finite;
}

void run_outer_product(const Kernels& kernels, const OuterProductStep& step, double* v) {
  kernels.outer(v + step.to, v + step.a, v + step.b, step.rows, step.columns);
}

} // namespace

bool run_steps(const Steps& steps, double* workspace) {
  double* const v = workspace;
  double* const scratch = v + steps.slots;
  bool finite = true;
  for (const Index* at = steps.words.data();;) {
    const StepHead head = read<StepHead>(at);
    switch (head.kind) {
#define ARENAGRAD_OP(Id, ...)                                                                      \
  case StepKind::OneByOne##Id:                                                                     \
    at = run_one_by_one<Opcode::Id>(v, at, head.count);                                            \
    break;
#include "core/ops.def"
#define ARENAGRAD_OPCODE(Id, ...)                                                                  \
  case StepKind::OneByOne##Id:                                                                     \
    at = run_one_by_one<Opcode::Id>(v, at, head.count);                                            \
    break;
#include "program/ir/opcodes.def"
    case StepKind::Map:
      at = run_map(steps, head, at, v, scratch);
      break;
    case StepKind::Tanh:
      at = run_tanh(steps, head, at, v, scratch);
      break;
    case StepKind::OuterProduct:
      run_outer_product(steps.kernels(head), read<OuterProductStep>(at), v);
      break;
    case StepKind::MatrixVector:
      at = run_matrix_vector(steps, head, at, v, scratch);
      break;
    case StepKind::StridedNary:
      at = run_strided(steps, head, at, v);
      break;
    case StepKind::GatheredNary:
      at = run_gathered(steps, head, at, v, scratch);
      break;
    case StepKind::Matrices:
      at = run_matrices(head, at, v, scratch);
      break;
    case StepKind::Check: {
      const CheckStep step = read<CheckStep>(at);
      finite = finite && all_finite(steps.kernels(head), v + step.from, step.n);
      break;
    }
    default: // End
      return finite;
    }
  }
}

} // namespace arenagrad::program::point
