#include "block_runner.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace arenagrad::program {
namespace {

constexpr std::size_t kCacheLine = 8; // doubles

Strided no_operand() { return {nullptr, 0}; }

constexpr double kZeroNumber = 0.0;
constexpr Strided kZero{&kZeroNumber, 0};

} // namespace

// Locations that stay the same for all blocks are found here, once; the columns that lie in the
// caller's memory and the lists that name them are found for each block (locate_columns).
BlockRunner::BlockRunner(const Schedule& schedule, const Kernels& kernels,
                         const ExactDecisions& decisions, std::size_t block,
                         const BlockMemory& shared, const std::vector<Column>& inputs,
                         const std::vector<Column>& outputs, BlockMemory& memory)
    : schedule_(schedule), kernels_(kernels), exact_kernels_(program::kernels(true)),
      decisions_(decisions), stride_(slot_stride(block)), uniforms_(shared.uniforms.data()),
      weights_(shared.weights.data()), inputs_(inputs), outputs_(outputs), memory_(memory) {
  memory.slots.resize((schedule.slots + kScratchSlots) * stride_ + kCacheLine);
  const auto address = reinterpret_cast<std::uintptr_t>(memory.slots.data());
  const std::size_t misaligned = address / sizeof(double) % kCacheLine;
  slots_ = memory.slots.data() + (kCacheLine - misaligned) % kCacheLine;
  memory.matrices.resize(schedule.matrix_scratch);
  memory.failed.assign(block, 0);
  memory.unclear.assign(block, 0);
  memory.columns.assign(schedule.column_slots.size(), nullptr);
  for (Index k = 0; k < schedule.column_slots.size(); ++k) {
    const Index slot = schedule.column_slots[k];
    if (slot == kNone) continue;
    if (column(k).step == 1)
      in_place_.push_back(k);
    else
      memory.columns[k] = slots_ + slot * stride_;
  }
  memory.operands.resize(schedule.operands.size());
  std::ranges::transform(schedule.operands, memory.operands.begin(),
                         [this](Location location) { return strided(location); });
  memory.vectors.resize(schedule.vectors.size());
  std::ranges::transform(schedule.vectors, memory.vectors.begin(),
                         [this](Location location) { return at(location); });
}

const Column& BlockRunner::column(Index number) const {
  return number < schedule_.input_count ? inputs_[number]
                                        : outputs_[number - schedule_.input_count];
}

double* BlockRunner::at(Location location) const {
  if (location.kind() == Location::Kind::Column) return memory_.columns[location.index()];
  return slots_ + location.index() * stride_;
}

Strided BlockRunner::strided(Location location) const {
  switch (location.kind()) {
  case Location::Kind::Uniform:
    return {uniforms_ + location.index(), 0};
  case Location::Kind::None:
    return no_operand();
  default:
    return {at(location), 1};
  }
}

// The columns in the caller's memory, and the lists that name them, move on with each block.
void BlockRunner::locate_columns() {
  for (const Index k : in_place_) memory_.columns[k] = column(k).at + first_;
  for (const Index k : schedule_.columns_in_operands)
    memory_.operands[k].at = at(schedule_.operands[k]);
  for (const Index k : schedule_.columns_in_vectors) memory_.vectors[k] = at(schedule_.vectors[k]);
}

void BlockRunner::run(std::size_t first, std::size_t count, double* sums, RowState* states,
                      RowOutcome& outcome) {
  first_ = first;
  count_ = count;
  sums_ = sums;
  states_ = states != nullptr ? states + first : nullptr;
  outcome_ = &outcome;
  locate_columns();
  if (states_ != nullptr) std::fill_n(states_, count, RowState::Good);
  for (const RowStep& step : schedule_.rows) step.visit([this](const auto& at) { run(at); });
  if (has_failed_ || has_unclear_) decide();
}

void BlockRunner::run(const MapStep& step) {
  double* const y = at(step.y);
  const Kernels::Map map = kernels(step.exact).map[static_cast<std::size_t>(step.opcode)];
  map(y, strided(step.a), strided(step.b), strided(step.c), count_);
  if (step.checked) check(y);
}

void BlockRunner::run(const SuccessStep& step) {
  const Strided a = strided(step.a), b = strided(step.b);
  if (all_succeed(step.how, a, b)) return;
  const auto how = static_cast<double>(step.how);
  for (std::size_t r = 0; r < count_; ++r)
    if (core::failure_number(how, a.at[r * a.step], b.at[r * b.step]) != 0.0) fail(r);
}

// Whether a few instructions a register show that the operation succeeds in all rows; errs on the
// side of caution.
bool BlockRunner::all_succeed(core::MayFail how, Strided a, Strided b) const {
  if (core::is_unary(static_cast<double>(how))) return b.step == 1 && kernels_.finite(b.at, count_);
  if (how == core::MayFail::Divide)
    return kernels_.bounded(b, std::numeric_limits<double>::denorm_min(),
                            std::numeric_limits<double>::infinity(), false, count_);
  if (how != core::MayFail::Power || b.step != 0) return false;
  const double exponent = *b.at;
  // As core::power_may_fail: the logarithm of the power to base 2 is below 1000.
  const double reach = std::fmin(1000.0 / std::fabs(exponent) - 2.0, 1000.0);
  const bool any_sign = exponent == std::floor(exponent);
  return reach > 0.0 && kernels_.bounded(a, std::exp2(-reach), std::exp2(reach), false, count_) &&
         (any_sign || kernels_.compare(Opcode::Less, false, a, kZero, count_));
}

void BlockRunner::run(const NaryStep& step) {
  double* const y = at(step.y);
  const Strided* const x = memory_.operands.data() + step.first;
  switch (step.opcode) {
  case Opcode::SumN:
    kernels(step.exact).sum(y, x, step.count, count_);
    break;
  case Opcode::DotN:
    kernels(step.exact).dot(y, x, step.count, count_);
    break;
  case Opcode::NormN:
    norm(y, x, step.count);
    break;
  case Opcode::MaxShift:
    max_shift(y, x, step.count);
    break;
  case Opcode::MaxN:
    largest(y, x, step.count);
    break;
  case Opcode::LogSumExpShifted:
    log_sum_exp_shifted(kernels(step.exact), y, x, step.count);
    break;
  case Opcode::Callback:
    call(y, x, step.count);
    break;
  default: // Take is the only other one
    take(y, x, step.count);
  }
  if (step.checked) check(y);
}

void BlockRunner::run(const TanhAndPartialStep& step) {
  double* const y = at(step.y);
  kernels_.tanh_and_partial(y, at(step.partial), at(step.a), count_);
  if (step.checked) check(y);
}

void BlockRunner::run(const DenseLayerStep& step) {
  double* const* const y = memory_.vectors.data() + step.first;
  kernels(step.exact)
      .layer(y, weights_ + step.weights, y + step.results, step.results, step.terms, count_);
}

// Copies a column whose rows are not side by side, or that too many lists name.
void BlockRunner::run(const LoadStep& step) {
  const Column& from = inputs_[step.input];
  double* const y = at(step.y);
  const double* const x = from.at + static_cast<std::ptrdiff_t>(first_) * from.step;
  if (y == x) return; // the column is its location
  for (std::size_t r = 0; r < count_; ++r) y[r] = x[static_cast<std::ptrdiff_t>(r) * from.step];
}

// Copies a value that is not computed in its column: one that is several outputs, or whose column's
// rows are not side by side.
void BlockRunner::run(const StoreStep& step) {
  const Column& to = outputs_[step.output];
  const double* const x = at(step.a);
  if (schedule_.may_overflow_otherwise && !kernels_.finite(x, count_)) outcome_->overflowed = true;
  double* const y = to.at + static_cast<std::ptrdiff_t>(first_) * to.step;
  if (y == x) return; // the column is its location
  for (std::size_t r = 0; r < count_; ++r) y[static_cast<std::ptrdiff_t>(r) * to.step] = x[r];
}

void BlockRunner::fail(std::size_t row) {
  has_failed_ = true;
  memory_.failed[row] = 1;
}

void BlockRunner::doubt(std::size_t row) {
  has_unclear_ = true;
  memory_.unclear[row] = 1;
}

// Guards mostly come out as in the trace, so rows are told apart only when one does not.
void BlockRunner::run(const GuardStep& step) {
  const double* const x = at(step.a);
  std::size_t failed = 0;
  for (std::size_t r = 0; r < count_; ++r) failed += (x[r] != 0.0) != step.outcome ? 1 : 0;
  if (failed == 0) return;
  for (std::size_t r = 0; r < count_; ++r)
    if ((x[r] != 0.0) != step.outcome) fail(r);
}

void BlockRunner::run(const CompareStep& step) {
  const Strided a = strided(step.a), b = strided(step.b);
  if (kernels_.compare(step.opcode, step.outcome, a, b, count_)) return;
  for (std::size_t r = 0; r < count_; ++r) {
    const double condition = evaluate(step.opcode, a.at[r * a.step], b.at[r * b.step], 0.0);
    if ((condition != 0.0) != step.outcome) fail(r);
  }
}

void BlockRunner::run(const ClearStep& step) {
  const Strided a = strided(step.a), b = strided(step.b);
  const Margin& margin = schedule_.margins[step.margin];
  const bool distance = margin.order == Order::Apart || margin.order == Order::Equal;
  const double sign = margin.order == Order::Above ? -1.0 : 1.0; // of b - a
  const double sign_b = margin.negated ? -sign : sign;
  if (margin.order != Order::Equal &&
      kernels_.clear(a, -sign, b, sign_b, distance, margin.relative, margin.absolute, count_))
    return;
  for (std::size_t r = 0; r < count_; ++r) {
    const double of_a = a.at[r * a.step], of_b = b.at[r * b.step];
    const double least = margin.relative * (std::fabs(of_a) + std::fabs(of_b)) + margin.absolute;
    const double difference = sign_b * of_b - sign * of_a;
    if (!(std::fabs(difference) > least))
      doubt(r);
    else if (margin.order == Order::Equal || (!distance && difference < 0.0))
      fail(r);
  }
}

void BlockRunner::run(const BoundedStep& step) {
  const Strided a = strided(step.a);
  if (kernels_.bounded(a, kSmallestBounded, kLargestBounded, step.or_zero, count_)) return;
  if (step.checked) check(a.at);
  for (std::size_t r = 0; r < count_; ++r) {
    const double size = std::fabs(a.at[r * a.step]);
    if (!(size >= kSmallestBounded && size <= kLargestBounded) && !(step.or_zero && size == 0.0))
      doubt(r);
  }
}

// Which rows of the block took the branches of the trace; the unclear ones decide again.
void BlockRunner::decide() {
  if (has_unclear_)
    decisions_.decide(inputs_, first_, count_, memory_.unclear, memory_.failed, memory_.decisions);
  for (std::size_t r = 0; r < count_; ++r) {
    if (memory_.failed[r] == 0) continue;
    outcome_->guards = false;
    if (states_ != nullptr) states_[r] = RowState::OtherVariant;
  }
  std::fill_n(memory_.failed.begin(), count_, std::uint8_t{0});
  std::fill_n(memory_.unclear.begin(), count_, std::uint8_t{0});
  has_failed_ = has_unclear_ = false;
}

void BlockRunner::run(const RowSumStep& step) {
  sums_[step.sum] += kernels_.total(at(step.a), count_);
}

void BlockRunner::run(const ScaledRowSumStep& step) {
  sums_[step.sum] += uniforms_[step.factor.index()] * kernels_.total(at(step.a), count_);
}

void BlockRunner::run(const InnerProductStep& step) {
  sums_[step.sum] += kernels_.inner(at(step.a), at(step.b), count_);
}

void BlockRunner::run(const InnerProductGridStep& step) {
  double* const* const a = memory_.vectors.data() + step.first;
  kernels_.grid(sums_ + step.sum, a, step.rows, a + step.rows, step.columns, count_);
}

void BlockRunner::run(const MatricesStep& step) {
  const Matrices& matrices = schedule_.matrices[step.matrices];
  const std::size_t count = matrices.shape.operands();
  const Strided* const x = memory_.operands.data() + matrices.operands;
  double* const* const results = memory_.vectors.data() + matrices.results;
  double *const y = at(step.y), *const scratch = memory_.matrices.data();
  double *const to = operands_in(scratch), *const found = scratch + matrices.shape.scratch();
  for (std::size_t r = 0; r < count_; ++r) {
    for (std::size_t k = 0; k < count; ++k) to[k] = x[k].at[r * x[k].step];
    y[r] = compute(matrices.shape, scratch, found);
    for (std::size_t k = 0; k < matrices.needed.size(); ++k)
      results[k][r] = found[matrices.needed[k]];
  }
  if (step.checked) check(y);
}

// -inf if there is no number above that, as core::Largest; nans are passed over.
void BlockRunner::max_shift(double* y, const Strided* x, std::size_t count) {
  std::fill_n(y, count_, -std::numeric_limits<double>::infinity());
  for (std::size_t k = 0; k < count; ++k)
    for (std::size_t r = 0; r < count_; ++r) {
      const double operand = x[k].at[r * x[k].step];
      y[r] = operand > y[r] ? operand : y[r];
    }
}

void BlockRunner::largest(double* y, const Strided* x, std::size_t count) {
  const Kernels::Map larger = exact_kernels_.map[static_cast<std::size_t>(Opcode::Maximum)];
  for (std::size_t r = 0; r < count_; ++r) y[r] = x[0].at[r * x[0].step];
  for (std::size_t k = 1; k < count; ++k) larger(y, {y, 1}, x[k], no_operand(), count_);
}

// As core::norm: the plain sum of squares, unless it overflows or loses digits to underflow.
void BlockRunner::norm(double* y, const Strided* x, std::size_t count) {
  std::fill_n(y, count_, 0.0);
  for (std::size_t k = 0; k < count; ++k)
    for (std::size_t r = 0; r < count_; ++r) {
      const double operand = x[k].at[r * x[k].step];
      y[r] += operand * operand;
    }
  for (std::size_t r = 0; r < count_; ++r)
    y[r] = y[r] > 1e-280 && y[r] < 1e300
               ? std::sqrt(y[r])
               : core::norm(count, [&](std::size_t k) { return x[k].at[r * x[k].step]; });
}

// As core::Exponentials: the first of the largest operands is left out of the sum, so that what is
// added to 1 is known to its last digit.
void BlockRunner::log_sum_exp_shifted(const Kernels& by, double* y, const Strided* x,
                                      std::size_t count) {
  double* const largest = slots_ + schedule_.slots * stride_;
  double* const argmax = largest + stride_;
  double* const exponential = argmax + stride_;
  std::fill_n(largest, count_, -std::numeric_limits<double>::infinity());
  std::fill_n(argmax, count_, 0.0);
  for (std::size_t k = 0; k < count; ++k)
    for (std::size_t r = 0; r < count_; ++r) {
      const double operand = x[k].at[r * x[k].step];
      const bool larger = operand > largest[r];
      largest[r] = larger ? operand : largest[r];
      argmax[r] = larger ? static_cast<double>(k) : argmax[r];
    }
  std::fill_n(y, count_, 0.0);
  const auto map = [&](Opcode opcode) { return by.map[static_cast<std::size_t>(opcode)]; };
  for (std::size_t k = 0; k < count; ++k) {
    map(Opcode::ShiftedExp)(exponential, x[k], {largest, 1}, no_operand(), count_);
    for (std::size_t r = 0; r < count_; ++r)
      y[r] += argmax[r] == static_cast<double>(k) ? 0.0 : exponential[r];
  }
  map(Opcode::Log1p)(y, {y, 1}, no_operand(), no_operand(), count_);
}

// An invalid index gives nan, which the step's check reports.
void BlockRunner::take(double* y, const Strided* x, std::size_t count) {
  for (std::size_t r = 0; r < count_; ++r) {
    const double i = x[0].at[r * x[0].step];
    y[r] = std::nan("");
    if (!core::is_index(i, count - 1)) continue;
    const Strided& taken = x[1 + static_cast<std::size_t>(i)];
    y[r] = taken.at[r * taken.step];
  }
}

void BlockRunner::call(double* y, const Strided* x, std::size_t count) {
  std::vector<double>& operands = memory_.call_operands;
  operands.resize(count);
  for (std::size_t r = 0; r < count_; ++r) {
    for (std::size_t k = 0; k < count; ++k) operands[k] = x[k].at[r * x[k].step];
    y[r] = run_call(schedule_.callbacks, operands.data(), first_ + r);
  }
}

// Numbers mostly are finite, so rows are looked at one by one only when one is not.
void BlockRunner::check(const double* y) {
  if (kernels_.finite(y, count_)) return;
  outcome_->finite = false;
  for (std::size_t r = 0; states_ != nullptr && r < count_; ++r)
    if (!std::isfinite(y[r]) && states_[r] == RowState::Good) states_[r] = RowState::NotFinite;
}

} // namespace arenagrad::program
