#include "capture.h"

#include <algorithm>
#include <array>
#include <unordered_map>
#include <utility>

#include "builder.h"
#include "core/nary.h"
#include "program/ir/analysis.h"
#include "program/ir/program_function.h"
#include "symbolic_lists.h"

namespace arenagrad::program {
namespace {

using core::Arena;
using core::NodeId;
using Group = core::nary::GroupFormula<Symbolic>;

class Capture {
public:
  Capture(Arena& arena, const Traced& traced, Builder& builder)
      : arena_(arena), traced_(traced), builder_(builder), writing_(builder) {}

  // Writes the program; returns the nodes that it uses and was not given.
  std::vector<NodeId> run() {
    find_needed();
    find_outer();
    find_decisions();
    places_.assign(needed_.size(), kNone);
    for (const NodeId input : traced_.inputs) place(input) = builder_.input();
    for (const NodeId node : outer_) place(node) = builder_.input();
    for (std::size_t k = 0; k < needed_.size(); ++k) {
      const auto node = static_cast<NodeId>(traced_.first + k);
      write_decisions_before(node);
      if (!needed_[k] || places_[k] != kNone) continue;
      builder_.set_exact(is_marked(decides_, k));
      write(node);
    }
    write_decisions_before(core::kNoNode);
    builder_.set_exact(false);
    for (const NodeId output : traced_.outputs) builder_.output(place(output));
    return std::move(outer_);
  }

private:
  // Marks the nodes of the trace that can fail and those that outputs and decisions are computed
  // from, and collects the older ones among their operands. Nodes that are inputs of the program
  // have no operands in it.
  void find_needed() {
    needed_.assign(arena_.size() - traced_.first, 0);
    const auto reach = [&](NodeId node) {
      if (node >= traced_.first)
        needed_[node - traced_.first] = 1;
      else
        outer_.push_back(node);
    };
    for (const NodeId output : traced_.outputs) reach(output);
    for_each_decided(reach);
    for (const NodeId node : traced_.fallible) reach(node);
    std::vector<std::uint8_t> is_input(needed_.size(), 0);
    for (const NodeId input : traced_.inputs)
      if (input >= traced_.first) is_input[input - traced_.first] = 1;
    for (const NodeId node : traced_.kept) is_input[node - traced_.first] = 1;
    for (std::size_t k = needed_.size(); k-- > 0;)
      if (needed_[k] != 0 && is_input[k] == 0)
        arena_.for_each_operand(static_cast<NodeId>(traced_.first + k), true, reach);
  }

  // The inputs behind those of the trace: each needed node that is older than the trace, or kept of
  // it, once and in order, but for those that are inputs of the trace already.
  void find_outer() {
    for (const NodeId node : traced_.kept)
      if (needed_[node - traced_.first] != 0) outer_.push_back(node);
    std::sort(outer_.begin(), outer_.end());
    outer_.erase(std::unique(outer_.begin(), outer_.end()), outer_.end());
    std::vector<NodeId> inputs = traced_.inputs;
    std::sort(inputs.begin(), inputs.end());
    std::erase_if(outer_, [&](NodeId node) {
      return std::binary_search(inputs.begin(), inputs.end(), node);
    });
  }

  // Marks the nodes that decisions are computed from, before anything is written: a pass must not
  // change a bit of theirs.
  void find_decisions() {
    if (traced_.decisions.empty() && arena_.functions().empty()) return;
    decides_.assign(needed_.size(), 0);
    const auto reach = [&](NodeId node) {
      if (node >= traced_.first) decides_[node - traced_.first] = 1;
    };
    for_each_decided(reach);
    for (std::size_t k = decides_.size(); k-- > 0;)
      if (decides_[k] != 0 || decides_inside(k))
        arena_.for_each_operand(static_cast<NodeId>(traced_.first + k), true, reach);
  }

  // Whether it is a call in the program of which something is decided.
  bool decides_inside(std::size_t k) const {
    const auto node = static_cast<NodeId>(traced_.first + k);
    return needed_[k] != 0 && arena_.op(node) == Op::Function && !called(node).guards.empty();
  }

  // Calls visit(node) for each node that a decision asks about.
  template <class Visit> void for_each_decided(Visit&& visit) const {
    for (const Decision& decision : traced_.decisions)
      std::visit(
          [&](const auto& one) {
            for (const NodeId node : asked_about(one))
              if (node != core::kNoNode) visit(node);
          },
          decision.asked);
  }

  // The nodes whose numbers decide, or kNoNode.
  template <class Asked> static std::array<NodeId, 2> asked_about(const Asked& one) {
    return {one.left, one.right};
  }
  std::array<NodeId, 2> asked_about(const CaughtOperation& caught) const {
    const Op op = arena_.op(caught.node);
    if (op == Op::Function || core::has_shapes(op)) return {caught.node, core::kNoNode};
    return asked_about(as_failed(caught));
  }
  static const std::vector<NodeId>& asked_about(const FailedCall& call) { return call.operands; }

  // A caught operation in the terms of one that failed.
  FailedOperation as_failed(const CaughtOperation& caught) const {
    FailedOperation f{arena_.op(caught.node), core::kNoNode, core::kNoNode, 0.0, 0.0,
                      core::Failure::None};
    double count = 0.0;
    arena_.for_each_operand(caught.node, true, [&](NodeId operand) {
      if (count == 0.0) f.left = operand;
      if (count == 1.0 && f.op != Op::Take) f.right = operand;
      ++count;
    });
    f.right_number = count - 1.0; // of a Take
    return f;
  }

  // Decisions stand in a program where the function made them: of a guard and a check that fail in
  // one run, the first says what happened.
  void write_decisions_before(NodeId node) {
    builder_.set_exact(true);
    for (; decided_ < traced_.decisions.size(); ++decided_) {
      const Decision& decision = traced_.decisions[decided_];
      if (decision.when > node) return;
      std::visit([this](const auto& one) { write(one); }, decision.asked);
    }
  }

  Index& place(NodeId node) {
    return node < traced_.first ? older_[node] : places_[node - traced_.first];
  }

  core::Numbers<Symbolic> operands(NodeId node) {
    core::Numbers<Symbolic> numbers;
    arena_.for_each_operand(node, true,
                            [&](NodeId o) { numbers.push_back(Symbolic::of(place(o))); });
    return numbers;
  }

  void write(NodeId node) {
    const Op op = arena_.op(node);
    if (op == Op::Leaf || core::is_literal(op)) {
      place(node) = builder_.constant(arena_.data(node));
    } else if (arena_.has_callback(node) || op == Op::Opaque || op == Op::FixedPartials) {
      throw CannotCapture(
          "a node with a rule of its own (_backward, or partials that are numbers) "
          "cannot be compiled: its number would be frozen; give custom() Values for "
          "its data and partials, or write the function with custom_vjp or "
          "pure_callback",
          node);
    } else if (op == Op::Function) {
      write_call(node);
    } else if (op == Op::FunctionResult) {
      const core::Operand2 o = arena_.operands(node);
      place(node) = functions_.at(o.a)[o.b];
    } else if (core::is_group(op)) {
      write_group(op, node);
    } else if (core::op_info(op).operands == core::Operands::Part) {
      write_part(op, node);
    } else if (core::is_table_op(op)) {
      const core::Operand2 o = arena_.operands(node);
      const bool two = core::op_info(op).operands != core::Operands::Unary;
      place(node) = builder_.emit(opcode_of(op), place(o.a), two ? place(o.b) : kNone, kNone,
                                  core::op_info(op).may_fail != core::MayFail::Never);
    } else {
      write_nary(op, node);
    }
  }

  void write_nary(Op op, NodeId node) {
    const core::Numbers<Symbolic> xs = operands(node);
    place(node) = core::visit_nary(op, [&](auto rule) { return rule.formula(xs); }).index();
  }

  void write_group(Op op, NodeId node) {
    const core::Numbers<Symbolic> xs = operands(node);
    Group group = core::visit_group(op, [&](auto rule) { return rule.formula(xs); });
    place(node) = group.total.index(); // nobody reads it; says that the group has been written
    groups_.emplace(node, std::move(group));
  }

  const Program& called(NodeId node) const {
    return dynamic_cast<const ProgramFunction&>(*arena_.functions().of(node).function).program();
  }

  // The instructions of the program that is called, in the place of the call.
  void write_call(NodeId node) {
    const Program& program = called(node);
    const bool decides = is_marked(decides_, node - traced_.first);
    const Marks exact = decision_cone(program);
    std::vector<Index> places;
    places.reserve(program.size());
    arena_.for_each_operand(node, true, [&](NodeId o) { places.push_back(place(o)); });
    for (Index i = program.input_count; i < program.size(); ++i) {
      builder_.set_exact(decides || is_marked(exact, i));
      if (node == caught_call_) write_failure(program, program.instructions[i], places);
      places.push_back(builder_.copy(program, program.instructions[i], places));
      if (node == caught_call_) write_success(program.instructions[i], places.back());
    }
    for (const Guard& guard : program.guards)
      builder_.guard(places[guard.condition], guard.outcome);
    place(node) = builder_.constant(0.0); // nobody reads it; says that the call has been written
    std::vector<Index>& results = functions_[node];
    for (const Index output : program.outputs) results.push_back(places[output]);
  }

  void write_part(Op op, NodeId node) {
    const core::Operand2 o = arena_.operands(node);
    const Group& group = groups_.at(o.a);
    place(node) = core::visit_group(op, [&](auto rule) {
                    return rule.result(group.terms[o.b], group.total);
                  }).index();
  }

  Index operand(NodeId node, double number) {
    return node == core::kNoNode ? builder_.constant(number) : place(node);
  }

  void write(const Comparison& c) {
    constexpr Opcode kOpcodes[] = {Opcode::Less, Opcode::LessEqual, Opcode::Equal}; // by Relation
    const Index condition =
        builder_.emit(kOpcodes[static_cast<std::size_t>(c.relation)],
                      operand(c.left, c.left_number), operand(c.right, c.right_number));
    builder_.guard(condition, c.outcome);
  }

  // The guard asks about the operation as it was recorded, unchecked: here it is to fail, or not.
  void write(const FailedOperation& f) {
    if (core::has_shapes(f.op)) return write_shaped_failure(f.op, operands(f.left), f.failure);
    const core::MayFail how =
        f.op == Op::Take ? core::MayFail::Index : core::op_info(f.op).may_fail;
    const Index a = operand(f.left, f.left_number);
    const bool two = core::is_judged_by_operands(how) || how == core::MayFail::Index;
    // Where it succeeded it is checked, as its node is, so that both are one instruction.
    const bool succeeded = f.failure == core::Failure::None;
    const Index b = two ? operand(f.right, f.right_number)
                        : builder_.emit(opcode_of(f.op), a, kNone, kNone, succeeded);
    guard_failure(how, a, b, f.failure);
  }

  void guard_failure(core::MayFail how, Index a, Index b, core::Failure outcome) {
    const Index failure =
        builder_.emit(Opcode::Failure, builder_.constant(static_cast<double>(how)), a, b);
    const Index kind = builder_.constant(static_cast<double>(outcome));
    builder_.guard(builder_.emit(Opcode::Equal, failure, kind), true);
  }

  void write(const FailedCall& call) {
    std::vector<Index> operands;
    operands.reserve(call.operands.size());
    for (std::size_t k = 0; k < call.operands.size(); ++k)
      operands.push_back(operand(call.operands[k], call.numbers[k]));
    guard_call(call.fails_alike, operands);
  }

  // The guard that this gives 1.
  void guard_call(const CallbackPointer& callback, const std::vector<Index>& operands) {
    const Index given = builder_.emit_call(callback, 0, operands);
    builder_.guard(builder_.emit(Opcode::Equal, given, builder_.constant(1.0)), true);
  }

  // The same of a function of shapes.
  void write_shaped_failure(Op op, const core::Numbers<Symbolic>& xs, core::Failure outcome) {
    const Index third = xs.size() > 2 ? xs[2].index() : kNone;
    const Index y = builder_.emit(opcode_with_shapes(op), xs[0].index(), xs[1].index(), third);
    guard_failure(core::MayFail::Pole, core::nary::judged(xs).index(), y, outcome);
  }

  void write(const CaughtOperation& caught) {
    const Op op = arena_.op(caught.node);
    if (core::has_shapes(op))
      write_shaped_failure(op, operands(caught.node), core::Failure::None);
    else if (op == Op::Function)
      caught_call_ = caught.node; // each of its operations is asked about as it is written
    else
      write(as_failed(caught));
  }

  // The guard that an instruction of a caught call does not fail, if it can.
  void write_failure(const Program& program, const Instruction& at,
                     const std::vector<Index>& places) {
    if (at.checked && at.opcode == Opcode::Callback && program.result_number(at) == 0) {
      std::vector<Index> operands;
      for (const Index operand : program.call_operands(at)) operands.push_back(places[operand]);
      guard_call(program.callback(at).succeeds(), operands);
    }
    if (!at.checked || is_many(at.opcode)) return;
    const Index a = places[at.a];
    if (has_shapes(at.opcode)) {
      core::Numbers<Symbolic> xs{Symbolic::of(a), Symbolic::of(places[at.b])};
      if (at.c != kNone) xs.push_back(Symbolic::of(places[at.c]));
      return write_shaped_failure(op_with_shapes(at.opcode), xs, core::Failure::None);
    }
    if (at.opcode == Opcode::PowerInverse || at.opcode == Opcode::PowerHalf) {
      const double exponent = at.opcode == Opcode::PowerInverse ? -1.0 : 0.5;
      guard_failure(core::MayFail::Power, a, builder_.constant(exponent), core::Failure::None);
    } else if (is_table_opcode(at.opcode)) {
      const core::MayFail how = core::op_info(op_of(at.opcode)).may_fail;
      if (how == core::MayFail::Never) return;
      const bool two = core::is_judged_by_operands(how);
      const Index b = two ? places[at.b] : builder_.emit(at.opcode, a, kNone, kNone, at.checked);
      guard_failure(how, a, b, core::Failure::None);
    }
  }

  // The same of matrices, once they are written.
  void write_success(const Instruction& at, Index matrices) {
    if (at.checked && is_matrix(at.opcode))
      builder_.guard(builder_.emit(Opcode::Equal, matrices, builder_.constant(0.0)), true);
  }

  Arena& arena_;
  const Traced& traced_;
  Builder& builder_;
  const Symbolic::Writing writing_;
  std::vector<std::uint8_t> needed_; // for each node from traced_.first on
  Marks decides_;                    // of the same nodes; empty if nothing was compared
  std::vector<NodeId> outer_;
  NodeId caught_call_ = core::kNoNode;      // the call that is written next
  std::size_t decided_ = 0;                 // how many decisions are written
  std::vector<Index> places_;               // of the same nodes in the program; kNone: not written
  std::unordered_map<NodeId, Index> older_; // the places of nodes before traced_.first
  std::unordered_map<NodeId, Group> groups_;
  std::unordered_map<NodeId, std::vector<Index>> functions_; // the results of each
};

} // namespace

Captured capture(Arena& arena, const Traced& traced, const Passes& passes) {
  Captured captured;
  captured.program = build(
      passes, [&](Builder& builder) { captured.outer = Capture(arena, traced, builder).run(); });
  return captured;
}

} // namespace arenagrad::program
