#include "schedule.h"

#include <algorithm>
#include <stdexcept>

#include "matrix_groups.h"

namespace arenagrad::program {
namespace {

class Scheduler {
public:
  Scheduler(const Program& program, const std::vector<std::uint8_t>& inputs, bool strict)
      : program_(program), strict_(strict), varies_(varying(program, inputs)),
        needed_(program.size(), 0), late_(program.size(), 0), absorbed_(program.size(), 0),
        uses_(program.size(), 0), ready_(program.size()), partial_(program.size(), kNone),
        places_(program.size(), kNone) {}

  Schedule done() {
    out_.input_count = program_.input_count;
    mark_needed();
    for (Index i = 0; i < program_.size(); ++i) ready_[i] = i;
    if (!strict_) find_partials();
    find_layers();
    for (Index i = 0; i < program_.size(); ++i)
      if (needed_[i] && !varies_[i]) uniform(i);
    for (const Index output : program_.outputs)
      out_.outputs.push_back(varies_[output] ? kNone : places_[output]);
    for (const Guard& guard : program_.guards)
      if (!varies_[guard.condition])
        out_.guards.push_back({number_of(places_[guard.condition]), guard.outcome});
    grids();
    leave_rows();
    rows();
    return std::move(out_);
  }

private:
  // What takes numbers out of the rows, and the instruction after which it can.
  struct Leaving {
    Index ready;
    Act act;
  };

  bool has(Index i, Opcode opcode) const { return program_.instructions[i].opcode == opcode; }

  void mark_needed() {
    for (const Index output : program_.outputs) needed_[output] = 1, ++uses_[output];
    for (const Guard& guard : program_.guards)
      needed_[guard.condition] = 1, ++uses_[guard.condition];
    for (std::size_t i = program_.size(); i-- > 0;) {
      if (program_.instructions[i].checked) needed_[i] = 1; // the check is what it is for
      if (needed_[i])
        program_.for_each_operand(program_.instructions[i],
                                  [&](Index operand) { needed_[operand] = 1, ++uses_[operand]; });
    }
    for (std::size_t i = 0; i < program_.size(); ++i) {
      const Instruction& at = program_.instructions[i];
      late_[i] = at.opcode == Opcode::RowSum;
      program_.for_each_operand(at, [&](Index operand) { late_[i] |= late_[operand]; });
      if (needed_[i] && late_[i] && varies_[i])
        throw std::invalid_argument("what varies from row to row is made of a sum over the rows");
    }
  }

  // Partials of tanh that are computed with it.
  void find_partials() {
    for (Index i = 0; i < program_.size(); ++i) {
      const Instruction& at = program_.instructions[i];
      if (at.opcode != Opcode::TanhPartial || !needed_[i] || !varies_[i] || at.checked) continue;
      if (!has(at.b, Opcode::Tanh) || program_.instructions[at.b].a != at.a ||
          partial_[at.b] != kNone)
        continue;
      partial_[at.b] = i;
      absorbed_[i] = 1;
      ready_[i] = at.b;
    }
  }

  // Dot products of the same numbers are computed as one, with the first of them.
  void find_layers() {
    std::vector<std::uint8_t> candidates(program_.size());
    for (Index i = 0; i < program_.size(); ++i)
      candidates[i] = needed_[i] && varies_[i] && !program_.instructions[i].checked;
    layers_ = layers_of(program_, varies_, candidates);
    for (std::size_t k = 0; k < layers_.size(); ++k)
      for (const Index i : layers_[k].results) {
        ready_[i] = layers_[k].results[0];
        absorbed_[i] = i != ready_[i];
      }
  }

  // The act of the layer whose first result is i.
  Act layer(const Layer& layer) {
    const auto count = [](const auto& array) { return static_cast<Place>(array.size()); };
    const Act act{Do::Layer,
                  Opcode::DotN,
                  false,
                  false,
                  count(out_.packed),
                  count(out_.pointers),
                  count(layer.results),
                  count(layer.x)};
    for (const Index i : layer.results) {
      const DotView dot = program_.dot(program_.instructions[i]);
      out_.packed.push_back(dot.has_start() ? number_of(places_[*dot.start]) : kNone);
      for (std::size_t k = 0; k < dot.terms; ++k)
        out_.packed.push_back(number_of(places_[varies_[dot.w[k]] != 0 ? dot.x[k] : dot.w[k]]));
      out_.pointers.push_back(i);
    }
    out_.pointers.insert(out_.pointers.end(), layer.x.begin(), layer.x.end());
    return act;
  }

  Place place(Index i) const { return i == kNone ? kNone : varies_[i] ? i : places_[i]; }

  // An instruction with places in the place of operands.
  Act act_of(Index i) {
    const Instruction& at = program_.instructions[i];
    Act act{Do::Map, at.opcode, at.checked, false, place(i)};
    if (is_many(at.opcode)) {
      act.what = Do::Many;
      act.a = static_cast<Place>(out_.lists.size()), act.b = at.b;
      program_.for_each_operand(at, [&](Index operand) { out_.lists.push_back(place(operand)); });
      return act;
    }
    const std::size_t count = operand_count(at.opcode);
    act.a = place(at.a);
    if (count > 1) act.b = place(at.b);
    if (count > 2) act.c = place(at.c);
    return act;
  }

  void uniform(Index i) {
    const Instruction& at = program_.instructions[i];
    const auto number = static_cast<Place>(out_.uniforms.size());
    places_[i] = kUniform | number;
    out_.uniforms.push_back(at.opcode == Opcode::Constant ? program_.constants[at.a] : 0.0);
    if (at.opcode == Opcode::Constant) return;
    if (at.opcode == Opcode::Input) {
      out_.uniform_inputs.push_back({at.a, number});
    } else if (at.opcode == Opcode::RowSum) {
      Act act{Do::Map, at.opcode, at.checked, false, places_[i]};
      if (varies_[at.a])
        act.b = out_.sums, sum(at.a, out_.sums++);
      else
        act.a = places_[at.a];
      out_.after.push_back(act);
    } else {
      (late_[i] ? out_.after : out_.before).push_back(act_of(i));
    }
  }

  void term(Do what, Place y, Index a, Index b = kNone) {
    if (what == Do::Inner && !varies_[a]) std::swap(a, b);
    if (what == Do::Inner && !varies_[b]) what = Do::ScaledTotal;
    if (what == Do::Inner && !strict_) return products_.push_back({a, b, y});
    const Index ready = std::max(ready_[a], b != kNone && varies_[b] ? ready_[b] : 0);
    leaving_.push_back({ready, {what, Opcode::RowSum, false, false, y, place(a), place(b)}});
  }

  // The sum of what varies: where only the sum uses a product, it is not computed as such.
  void sum(Index i, Place y) {
    const Instruction& at = program_.instructions[i];
    const auto varies = [&](Index k) { return varies_[k] != 0; };
    const bool own = uses_[i] == 1 && !at.checked && !absorbed_[i];
    absorbed_[i] |= own;
    if (own && at.opcode == Opcode::Square) return term(Do::Inner, y, at.a, at.a);
    if (own && at.opcode == Opcode::Mul && ((varies(at.a) && varies(at.b)) || !strict_))
      return term(Do::Inner, y, at.a, at.b);
    if (own && at.opcode == Opcode::DotN && !strict_) {
      bool all = true;
      program_.for_each_operand(at, [&](Index o) { all = all && varies(o); });
      if (all) {
        const DotView dot = program_.dot(at);
        if (dot.has_start()) term(Do::Total, y, *dot.start);
        for (std::size_t k = 0; k < dot.terms; ++k) term(Do::Inner, y, dot.w[k], dot.x[k]);
        return;
      }
    }
    if (own) absorbed_[i] = 0;
    term(Do::Total, y, i);
  }

  // Sums of products become grids as far as their sums can be numbered side by side.
  void grids() {
    std::vector<std::uint32_t> numbers(out_.sums, kNone);
    std::uint32_t next = 0;
    const std::vector<Grid> grids = grids_of(std::move(products_));
    for (const Grid& grid : grids)
      for (const std::uint32_t sum : grid.sums)
        if (numbers[sum] == kNone) numbers[sum] = next++;
    for (std::uint32_t& number : numbers)
      if (number == kNone) number = next++;
    for (Leaving& leaving : leaving_) leaving.act.y = numbers[leaving.act.y];
    for (Act& act : out_.after)
      if (act.opcode == Opcode::RowSum && act.b != kNone) act.b = numbers[act.b];
    for (const Grid& grid : grids) {
      const auto rows = static_cast<Index>(grid.rows.size());
      const auto columns = static_cast<Index>(grid.columns.size());
      const std::uint32_t first = numbers[grid.sums[0]];
      bool side_by_side = rows * columns > 1;
      Index ready = 0;
      for (Index k = 0; k < rows * columns; ++k) {
        side_by_side = side_by_side && numbers[grid.sums[k]] == first + k;
        ready =
            std::max({ready, ready_[grid.rows[k / columns]], ready_[grid.columns[k % columns]]});
      }
      for (Index k = 0; k < rows * columns && !side_by_side; ++k) {
        const Index a = grid.rows[k / columns], b = grid.columns[k % columns];
        leaving_.push_back(
            {std::max(ready_[a], ready_[b]),
             {Do::Inner, Opcode::RowSum, false, false, numbers[grid.sums[k]], a, b}});
      }
      if (!side_by_side) continue;
      leaving_.push_back({ready,
                          {Do::Grid, Opcode::RowSum, false, false, first,
                           static_cast<Place>(out_.pointers.size()), rows, columns}});
      out_.pointers.insert(out_.pointers.end(), grid.rows.begin(), grid.rows.end());
      out_.pointers.insert(out_.pointers.end(), grid.columns.begin(), grid.columns.end());
    }
  }

  // Outputs and guards; sums are there already.
  void leave_rows() {
    for (Index k = 0; k < program_.outputs.size(); ++k) {
      const Index i = program_.outputs[k];
      if (varies_[i])
        leaving_.push_back(
            {ready_[i], {Do::Store, Opcode::Constant, false, false, kNone, i, kNone, k}});
    }
    for (const Guard& guard : program_.guards) {
      const Index i = guard.condition;
      if (varies_[i])
        leaving_.push_back(
            {ready_[i], {Do::Guard, Opcode::Constant, false, guard.outcome, kNone, i}});
    }
    std::stable_sort(
        leaving_.begin(), leaving_.end(),
        [](const Leaving& one, const Leaving& other) { return one.ready < other.ready; });
  }

  void rows() {
    std::size_t next = 0, next_layer = 0;
    for (Index i = 0; i < program_.size(); ++i) {
      if (next_layer < layers_.size() && layers_[next_layer].results[0] == i) {
        out_.rows.push_back(layer(layers_[next_layer++]));
      } else if (needed_[i] && varies_[i] && !absorbed_[i] && !has(i, Opcode::Input)) {
        Act act = act_of(i);
        if (partial_[i] != kNone) act.what = Do::TanhAndPartial, act.b = partial_[i];
        out_.rows.push_back(act);
      }
      for (; next < leaving_.size() && leaving_[next].ready <= i; ++next)
        out_.rows.push_back(leaving_[next].act);
    }
  }

  const Program& program_;
  const bool strict_;
  std::vector<std::uint8_t> varies_, needed_, late_;
  std::vector<std::uint8_t> absorbed_; // part of another act
  std::vector<std::uint32_t> uses_;
  std::vector<Index> ready_;   // after which instruction it is known
  std::vector<Index> partial_; // of a tanh
  std::vector<Place> places_;  // of what is uniform
  std::vector<Leaving> leaving_;
  std::vector<Product> products_;
  std::vector<Layer> layers_; // by their first results
  Schedule out_;
};

} // namespace

std::size_t Schedule::bytes() const {
  const auto of = [](const auto& array) { return array.size() * sizeof(array[0]); };
  return of(before) + of(rows) + of(after) + of(lists) + of(pointers) + of(columns_in_lists) +
         of(columns_in_pointers) + of(packed) + of(uniforms) + of(uniform_inputs) + of(outputs) +
         of(guards) + of(column_slots);
}

Schedule schedule_of(const Program& program, const std::vector<std::uint8_t>& varies, bool strict) {
  if (varies.size() != program.input_count)
    throw std::invalid_argument("one flag an input, whether it varies");
  Schedule schedule = Scheduler(program, varies, strict).done();
  place_in_slots(schedule, program);
  return schedule;
}

} // namespace arenagrad::program
