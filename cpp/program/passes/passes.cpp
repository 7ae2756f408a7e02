#include "passes.h"

#include <algorithm>
#include <span>

namespace arenagrad::program {
namespace {

// Where the values of a program are in one that is being written from it.
class Rewriting {
public:
  Rewriting(const Program& from, const Passes& passes)
      : from_(from), to_(passes), place_(from.size(), kNone) {}

  Builder& to() { return to_; }
  Index& place(Index i) { return place_[i]; }

  void copy(Index i) {
    const Instruction& at = from_.instructions[i];
    place_[i] = at.opcode == Opcode::Input ? to_.input() : to_.copy(from_, at, place_);
  }

  Program finish() {
    for (const Index output : from_.outputs) to_.output(place_[output]);
    for (const Guard& guard : from_.guards)
      if (!to_.is_constant(place_[guard.condition]))
        to_.guard(place_[guard.condition], guard.outcome);
    return to_.finish();
  }

private:
  const Program& from_;
  Builder to_;
  std::vector<Index> place_;
};

// Nothing but the order and number of instructions changes.
constexpr Passes kNothing{false, false, false, false, false, false};

class Fusing {
public:
  Fusing(const Program& program, const Passes& passes)
      : program_(program), any_order_(passes.reorder), out_(program, kNothing),
        uses_(program.size(), 0), absorbed_(program.size(), 0), chain_(program.size(), kNone) {
    for (const Instruction& at : program.instructions)
      program.for_each_operand(at, [&](Index o) { ++uses_[o]; });
    for (const Index output : program.outputs) ++uses_[output];
    for (const Guard& guard : program.guards) ++uses_[guard.condition];
  }

  Program run() {
    // From the end, so that a chain is met at its last sum.
    for (std::size_t i = program_.size(); i-- > 0;)
      if (!absorbed_[i] && is_sum(static_cast<Index>(i))) find_chain(static_cast<Index>(i));
    for (std::size_t i = 0; i < program_.size(); ++i)
      if (const Index divisor = own_reciprocal(static_cast<Index>(i)); divisor != kNone)
        absorbed_[divisor] = 1;
    for (std::size_t i = 0; i < program_.size(); ++i) {
      const auto at = static_cast<Index>(i);
      if (absorbed_[i]) continue;
      if (chain_[i] == kNone) {
        copy(at);
        continue;
      }
      const Index start = chain_[i] == 0 ? 0 : ends_[chain_[i] - 1];
      const std::span<const Index> chain(chains_.data() + start, ends_[chain_[i]] - start);
      out_.place(at) = any_order_ ? joined(chain) : in_order(chain);
    }
    return out_.finish();
  }

private:
  const Instruction& at(Index i) const { return program_.instructions[i]; }
  bool is_sum(Index i) const {
    return (at(i).opcode == Opcode::Add || at(i).opcode == Opcode::SumN) && !at(i).checked;
  }
  bool is_own(Index i) const { return uses_[i] == 1 && !at(i).checked; } // of its one user

  // The terms of the sum at `top`, sums that only it uses taken apart.
  void find_chain(Index top) {
    std::vector<Index>& terms = terms_;
    terms.clear();
    program_.for_each_operand(at(top), [&](Index o) { terms.push_back(o); });
    operands_ = terms;
    if (any_order_) {
      for (std::size_t k = 0; k < terms.size();) {
        if (!is_own(terms[k]) || !is_sum(terms[k])) {
          ++k;
          continue;
        }
        const Index inner = terms[k];
        absorbed_[inner] = 1;
        terms[k] = terms.back(), terms.pop_back();
        program_.for_each_operand(at(inner), [&](Index o) { terms.push_back(o); });
      }
      std::sort(terms.begin(), terms.end()); // the older first: runs of operands stay runs
    } else {
      take_prefixes(top, terms);
    }
    // A mere sum of two that are no products stays as it is; so does a product that is the start.
    bool joins = terms != operands_;
    for (std::size_t k = any_order_ ? 0 : 1; k < terms.size(); ++k) {
      if (!is_product(terms[k])) continue;
      absorbed_[terms[k]] = 1;
      joins = true;
    }
    if (!joins) return;
    chain_[top] = static_cast<Index>(ends_.size());
    chains_.insert(chains_.end(), terms.begin(), terms.end());
    ends_.push_back(static_cast<Index>(chains_.size()));
  }

  // Only what was summed first may be taken apart where the order has to stay.
  void take_prefixes(Index top, std::vector<Index>& terms) {
    std::vector<Index> backwards;
    for (Index sum = top;;) {
      terms.clear();
      program_.for_each_operand(at(sum), [&](Index o) { terms.push_back(o); });
      const auto opens = [&](Index o) { return is_own(o) && is_sum(o); };
      if (at(sum).opcode == Opcode::Add && !opens(terms[0]) && opens(terms[1]))
        std::swap(terms[0], terms[1]); // a + b and b + a are the same number
      backwards.insert(backwards.end(), terms.rbegin(), terms.rend() - 1);
      if (!opens(terms[0])) break;
      absorbed_[sum = terms[0]] = 1;
    }
    backwards.push_back(terms[0]);
    terms.assign(backwards.rbegin(), backwards.rend());
  }

  bool is_product(Index i) const { return is_own(i) && at(i).opcode == Opcode::Mul; }

  Index place(Index i) { return out_.place(i); }

  Index sum(const std::vector<Index>& terms) {
    if (terms.size() == 1) return terms[0];
    if (terms.size() == 2) return out_.to().emit(Opcode::Add, terms[0], terms[1]);
    return out_.to().emit_many(Opcode::SumN, terms);
  }

  // start (kNone: none) plus the products.
  Index dot(Index start, const std::vector<Index>& products) {
    if (products.size() == 1 && start != kNone)
      return out_.to().emit(Opcode::MultiplyAdd, place(at(products[0]).a), place(at(products[0]).b),
                            start);
    std::vector<Index> operands;
    if (start != kNone) operands.push_back(start);
    for (const Index product : products) operands.push_back(place(at(product).a));
    for (const Index product : products) operands.push_back(place(at(product).b));
    return out_.to().emit_many(Opcode::DotN, operands);
  }

  bool is_zero(Index place) { return out_.to().is_constant(place, 0.0); }

  Index joined(std::span<const Index> terms) {
    std::vector<Index> products, rest;
    for (const Index term : terms) {
      if (is_product(term))
        products.push_back(term);
      else if (!is_zero(place(term)))
        rest.push_back(place(term));
    }
    if (products.empty()) return rest.empty() ? out_.to().constant(0.0) : sum(rest);
    if (products.size() == 1 && rest.empty())
      return out_.to().emit(Opcode::Mul, place(at(products[0]).a), place(at(products[0]).b));
    align(products);
    return dot(rest.empty() ? kNone : sum(rest), products);
  }

  // Puts the factors of many products on the same sides: what stays or moves alike stands together,
  // which runners make use of. Here: operands ascend on the left where they can.
  void align(std::vector<Index>& products) const {
    std::sort(products.begin(), products.end(), [&](Index one, Index other) {
      return std::pair(at(one).a, at(one).b) < std::pair(at(other).a, at(other).b);
    });
  }

  Index in_order(std::span<const Index> terms) {
    Index sum_so_far = place(terms[0]);
    for (std::size_t i = 1; i < terms.size();) {
      std::size_t end = i;
      while (end < terms.size() && is_product(terms[end]) == is_product(terms[i])) ++end;
      std::vector<Index> run(terms.begin() + static_cast<std::ptrdiff_t>(i),
                             terms.begin() + static_cast<std::ptrdiff_t>(end));
      if (is_product(terms[i])) {
        sum_so_far = dot(is_zero(sum_so_far) && run.size() > 1 ? kNone : sum_so_far, run);
      } else {
        for (Index& term : run) term = place(term);
        run.insert(run.begin(), sum_so_far);
        sum_so_far = sum(run);
      }
      i = end;
    }
    return sum_so_far;
  }

  // The operand of a product that is a reciprocal used by nothing else.
  Index own_reciprocal(Index i) const {
    if (!any_order_ || absorbed_[i] || at(i).opcode != Opcode::Mul) return kNone;
    for (const Index o : {at(i).b, at(i).a})
      if (uses_[o] == 1 && at(o).opcode == Opcode::Reciprocal) return o;
    return kNone;
  }

  // x * (1 / y) is x / y but for rounding.
  void copy(Index i) {
    const Index divisor = own_reciprocal(i);
    if (divisor == kNone) return out_.copy(i);
    const Index x = at(i).a == divisor ? at(i).b : at(i).a;
    out_.place(i) = out_.to().emit(Opcode::Divide, place(x), place(at(divisor).a), kNone,
                                   at(i).checked || at(divisor).checked);
  }

  const Program& program_;
  const bool any_order_;
  Rewriting out_;
  std::vector<Index> uses_;
  std::vector<std::uint8_t> absorbed_;
  std::vector<Index> chain_;            // of a sum that is the last of one: its number
  std::vector<Index> chains_, ends_;    // the terms of all, and where each ends
  std::vector<Index> terms_, operands_; // of the chain at hand, and of its last sum
};

} // namespace

Program prune(const Program& program) {
  std::vector<std::uint8_t> needed(program.size(), 0);
  for (const Index output : program.outputs) needed[output] = 1;
  for (const Guard& guard : program.guards) needed[guard.condition] = 1;
  for (std::size_t i = program.size(); i-- > 0;) {
    const Instruction& at = program.instructions[i];
    if (at.opcode == Opcode::Input || at.checked) needed[i] = 1; // a check is not to be lost
    if (needed[i]) program.for_each_operand(at, [&](Index o) { needed[o] = 1; });
  }
  Rewriting out(program, kNothing);
  for (std::size_t i = 0; i < program.size(); ++i)
    if (needed[i]) out.copy(static_cast<Index>(i));
  return out.finish();
}

Program fuse(const Program& program, const Passes& passes) { return Fusing(program, passes).run(); }

Program shortened(Program program, const Passes& passes) {
  if (passes.prune) program = prune(program);
  if (passes.fuse) program = fuse(program, passes);
  return passes.prune && passes.fuse ? prune(program) : program;
}

Program optimise(const Program& program, const Passes& passes) {
  Rewriting out(program, passes);
  for (std::size_t i = 0; i < program.size(); ++i) out.copy(static_cast<Index>(i));
  return shortened(out.finish(), passes);
}

} // namespace arenagrad::program
