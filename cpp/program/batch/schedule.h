// The order in which a BatchPlan works: the steps on a block of rows, and the steps done once for
// all rows, before the blocks and after the sums over the rows are complete.
//
// Invariants: a step reads what an earlier step, an input or a constant has written; `before_rows`
// and `after_reduction` touch uniforms only; no two values that are needed at once share a slot.
// Immutable once made, so safe from any thread. Cost: 20 bytes a step of the rows, 4 an operand in
// a list.
#pragma once

#include <type_traits>
#include <variant>

#include "core/op_domain.h"
#include "program/ir/matrix.h"
#include "program/passes/clear_decisions.h"

namespace arenagrad::program {

// Where an operand or a result is. Four bytes: the kind in the three top bits, the index below.
class Location {
public:
  enum class Kind : std::uint8_t {
    Slot,     // of the block
    Column,   // of an input or output: the caller's memory, or a slot where that is not contiguous
    Uniform,  // one number for all rows
    Value,    // the result of an instruction, until it is given a slot
    None = 7, // an operand that the opcode does not have
  };
  static constexpr Index kMostIndex = (1u << 29) - 1;

  constexpr Location() = default;
  static constexpr Location slot(Index index) { return {Kind::Slot, index}; }
  static constexpr Location column(Index index) { return {Kind::Column, index}; }
  static constexpr Location uniform(Index index) { return {Kind::Uniform, index}; }
  static constexpr Location value(Index index) { return {Kind::Value, index}; }

  constexpr Kind kind() const { return static_cast<Kind>(bits_ >> kIndexBits); }
  constexpr Index index() const { return bits_ & kMostIndex; }

private:
  static constexpr unsigned kIndexBits = 29;
  constexpr Location(Kind kind, Index index)
      : bits_(static_cast<Index>(kind) << kIndexBits | index) {}
  Index bits_ = kNone;
};
static_assert(sizeof(Location) == sizeof(Index) && Location().kind() == Location::Kind::None);

enum class StepKind : std::uint8_t {
  Map,
  Nary,
  TanhAndPartial,
  DenseLayer,
  Load,
  Store,
  Guard,
  Compare,
  Success,
  Clear,
  Bounded,
  RowSum,
  ScaledRowSum,
  InnerProduct,
  InnerProductGrid,
  Matrices,
};

// Of maps, sums and layers `exact` says that every bit counts: they are done by the kernels of
// strict programs.

// y = opcode(a, b, c)
struct MapStep {
  StepKind kind = StepKind::Map;
  Opcode opcode{};
  bool checked = false, exact = false;
  Location y, a, b, c;
};
// y = opcode of `count` operands, from `first` on in Schedule::operands
struct NaryStep {
  StepKind kind = StepKind::Nary;
  Opcode opcode{};
  bool checked = false, exact = false;
  Location y;
  Index first = 0, count = 0;
};
// y = tanh(a), and its partial by a
struct TanhAndPartialStep {
  StepKind kind = StepKind::TanhAndPartial;
  bool checked = false;
  Location y, partial, a;
};
// In Schedule::vectors, from `first` on, stand `results` results and then `terms` operands. Each
// result has terms + 1 numbers, from `weights` on in Schedule::weights: its start, then a weight an
// operand.
struct DenseLayerStep {
  StepKind kind = StepKind::DenseLayer;
  bool exact = false;
  Index first = 0, results = 0, terms = 0, weights = 0;
};
// y = the rows of input `input`
struct LoadStep {
  StepKind kind = StepKind::Load;
  Location y;
  Index input = 0;
};
// Output `output` gets a.
struct StoreStep {
  StepKind kind = StepKind::Store;
  Location a;
  Index output = 0;
};
// a != 0 has to come out as `outcome`.
struct GuardStep {
  StepKind kind = StepKind::Guard;
  bool outcome = false;
  Location a;
};
// opcode(a, b), a comparison that nothing else uses, has to come out as `outcome`.
struct CompareStep {
  StepKind kind = StepKind::Compare;
  Opcode opcode{};
  bool outcome = false;
  Location a, b;
};
// An operation that may fail as `how` says has to succeed; a and b as in core::failure_number.
struct SuccessStep {
  StepKind kind = StepKind::Success;
  core::MayFail how{};
  Location a, b;
};
// a and b have to be in the order of margin number `margin` of Schedule::margins, and clearly so.
struct ClearStep {
  StepKind kind = StepKind::Clear;
  Location a, b;
  Index margin = 0;
};
// a has to be within the bounds of clear_decisions.h, which also checks it if that is asked for.
struct BoundedStep {
  StepKind kind = StepKind::Bounded;
  bool or_zero = false, checked = false;
  Location a;
};
// sums[sum] += the sum of a
struct RowSumStep {
  StepKind kind = StepKind::RowSum;
  Location a;
  Index sum = 0;
};
// sums[sum] += factor, a uniform, times the sum of a
struct ScaledRowSumStep {
  StepKind kind = StepKind::ScaledRowSum;
  Location a, factor;
  Index sum = 0;
};
// sums[sum] += the sum of a * b
struct InnerProductStep {
  StepKind kind = StepKind::InnerProduct;
  Location a, b;
  Index sum = 0;
};
// In Schedule::vectors, from `first` on, stand `rows` vectors a and then `columns` vectors b:
// sums[sum + r * columns + c] += the sum of a[r] * b[c]
struct InnerProductGridStep {
  StepKind kind = StepKind::InnerProductGrid;
  Index first = 0, rows = 0, columns = 0, sum = 0;
};

// Number `matrices` of Schedule::matrices, row by row; y = its state
struct MatricesStep {
  StepKind kind = StepKind::Matrices;
  bool checked = false;
  Location y;
  Index matrices = 0;
};

// One of the steps above. A tagged union by hand, because a std::variant of them takes 24 bytes
// where this takes 20, and a long program is read from memory once for each block of rows. Every
// step begins with its kind, so it may be read whichever step is there.
class RowStep {
public:
  template <class Step> RowStep(const Step& step) { // NOLINT(google-explicit-constructor)
    static_assert(std::is_standard_layout_v<Step> && std::is_trivially_copyable_v<Step>);
    static_assert(sizeof(Step) <= sizeof(RowStep) && alignof(Step) <= alignof(RowStep));
    new (bytes_) Step(step);
  }

  StepKind kind() const { return static_cast<StepKind>(bytes_[0]); }

  // Calls visitor(step) with the step in its own type.
  template <class Visitor> void visit(Visitor&& visitor) { dispatch(*this, visitor); }
  template <class Visitor> void visit(Visitor&& visitor) const { dispatch(*this, visitor); }

private:
  // Requires that a Step is there.
  template <class Step> Step& as() { return *std::launder(reinterpret_cast<Step*>(bytes_)); }
  template <class Step> const Step& as() const {
    return *std::launder(reinterpret_cast<const Step*>(bytes_));
  }

  template <class Self, class Visitor>
  [[gnu::always_inline]] static void dispatch(Self& self, Visitor& visitor) {
    switch (self.kind()) {
    case StepKind::Map:
      return visitor(self.template as<MapStep>());
    case StepKind::Nary:
      return visitor(self.template as<NaryStep>());
    case StepKind::TanhAndPartial:
      return visitor(self.template as<TanhAndPartialStep>());
    case StepKind::DenseLayer:
      return visitor(self.template as<DenseLayerStep>());
    case StepKind::Load:
      return visitor(self.template as<LoadStep>());
    case StepKind::Store:
      return visitor(self.template as<StoreStep>());
    case StepKind::Guard:
      return visitor(self.template as<GuardStep>());
    case StepKind::Compare:
      return visitor(self.template as<CompareStep>());
    case StepKind::Success:
      return visitor(self.template as<SuccessStep>());
    case StepKind::Clear:
      return visitor(self.template as<ClearStep>());
    case StepKind::Bounded:
      return visitor(self.template as<BoundedStep>());
    case StepKind::RowSum:
      return visitor(self.template as<RowSumStep>());
    case StepKind::ScaledRowSum:
      return visitor(self.template as<ScaledRowSumStep>());
    case StepKind::InnerProduct:
      return visitor(self.template as<InnerProductStep>());
    case StepKind::InnerProductGrid:
      return visitor(self.template as<InnerProductGridStep>());
    case StepKind::Matrices:
      return visitor(self.template as<MatricesStep>());
    }
  }

  alignas(Index) unsigned char bytes_[20];
};
static_assert(sizeof(RowStep) == 20 && std::is_trivially_copyable_v<RowStep>);

// y = sums[sum] of all rows, scaled as the run asks
struct SumResultStep {
  bool checked = false;
  Location y;
  Index sum = 0;
};
// y = the sum of a, a uniform, over all rows, scaled as the run asks
struct RepeatedSumStep {
  bool checked = false;
  Location y, a;
};
// Results are the uniforms behind y.
using UniformStep = std::variant<MapStep, NaryStep, SumResultStep, RepeatedSumStep, MatricesStep>;

// An instruction of matrices: its operands are in Schedule::operands from `operands` on. Of those
// that vary, the results that something needs are in Schedule::vectors from `results` on, and their
// numbers in `needed`.
struct Matrices {
  MatrixShape shape;
  Index operands = 0, results = 0;
  std::vector<Index> needed;
};

struct Schedule {
  std::vector<UniformStep> before_rows;
  std::vector<RowStep> rows;
  std::vector<UniformStep> after_reduction;

  std::vector<Location> operands; // of NarySteps and Matrices
  std::vector<Location> vectors; // of DenseLayerSteps, InnerProductGridSteps, Matrices: no uniforms
  std::vector<Matrices> matrices;
  std::vector<Index> columns_in_operands, columns_in_vectors; // which of those are columns
  std::vector<Index> weights;   // uniforms, in the order in which dense layers read them; kNone: 0
  std::vector<double> uniforms; // the constants, and room for the others

  struct UniformInput {
    Index input, uniform;
  };
  std::vector<UniformInput> uniform_inputs;
  std::vector<Index> uniform_outputs; // the uniform of each output, kNone if the output varies
  std::vector<Guard> uniform_guards;  // conditions are uniforms
  std::vector<Margin> margins;        // of ClearSteps
  std::vector<CallbackPointer> callbacks;
  Program decisions; // decides for the rows that are unclear
  // The slot of each input's column, then of each output's; kNone if no step names the column.
  std::vector<Index> column_slots;
  Index input_count = 0;
  Index slots = 0, sums = 0;
  bool may_overflow_otherwise = false; // as program::may_overflow_otherwise, unless strict
  std::size_t matrix_scratch = 0;      // numbers, for any of the matrices

  std::size_t bytes() const;
};

// Replaces the Values of a schedule's rows by slots and columns, and adds the LoadSteps.
void allocate_slots(Schedule& schedule, const Program& program);

// `varies`: of each input, whether it differs from row to row. Throws std::invalid_argument as
// BatchPlan does, std::bad_alloc also if the program is too long for Location. Cost: about 100 ns
// an instruction.
Schedule make_schedule(const Program& program, const std::vector<std::uint8_t>& varies,
                       bool strict);

} // namespace arenagrad::program
