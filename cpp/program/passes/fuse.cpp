// The pass that joins sums: products and sums whose only user is the next sum become one SumN, DotN
// or MultiplyAdd, which kernels run without storing what lies between.
//
// A chain is the sum that ends it, with the list of its terms. Chains are found from the end of the
// program upwards, so that each is met first at its last sum; whatever a chain takes in is absorbed
// and not written by itself. An instruction that is checked, or used more than once, is never
// absorbed: its value is used elsewhere.
//
// With `reorder`, whole trees of sums are flattened and their products stand first. Without it,
// only what the function itself added first is taken apart, so that every bit stays. So are chains
// of a decision treated. What they take in is of the decision too, since all that an instruction
// there is computed from is; and no other chain takes it in, since it then has two users.
#include <algorithm>
#include <cmath>
#include <span>

#include "passes.h"
#include "program/ir/analysis.h"
#include "rewriting.h"

namespace arenagrad::program {
namespace {

class Fuser {
public:
  Fuser(const Program& program, bool any_order, Builder& builder)
      : program_(program), reorders_(any_order), exact_(decision_cone(program)), builder_(builder),
        out_(program, builder), uses_(count_uses(program)), absorbed_(program.size(), 0),
        chain_(program.size(), kNone) {}

  void run() {
    for (Index i = size(); i-- > 0;)
      if (absorbed_[i] == 0 && is_sum(i)) find_chain(i);
    for (Index i = 0; i < size(); ++i)
      if (const Index divisor = own_reciprocal(i); divisor != kNone) absorbed_[divisor] = 1;
    for (Index i = 0; i < size(); ++i)
      if (absorbed_[i] == 0) write(i);
    out_.finish();
  }

private:
  Index size() const { return static_cast<Index>(program_.size()); }
  const Instruction& at(Index i) const { return program_.instructions[i]; }
  // Whether what i is the last of may be added in any order.
  bool any_order(Index i) const { return reorders_ && !is_marked(exact_, i); }
  bool is_sum(Index i) const {
    return (at(i).opcode == Opcode::Add || at(i).opcode == Opcode::SumN) && !at(i).checked;
  }
  // Whether nothing but its one user reads its value.
  bool is_own(Index i) const { return uses_[i] == 1 && !at(i).checked; }
  bool is_own_sum(Index i) const { return is_own(i) && is_sum(i); }
  bool is_product(Index i) const { return is_own(i) && at(i).opcode == Opcode::Mul; }

  void operands_of(Index sum, std::vector<Index>& operands) const {
    operands.clear();
    program_.for_each_operand(at(sum), [&](Index operand) { operands.push_back(operand); });
  }

  // Finds the terms of the sum `top`, and makes a chain of them if that is more than the sum is.
  void find_chain(Index top) {
    operands_of(top, operands_);
    terms_ = operands_;
    if (any_order(top))
      flatten_all();
    else
      flatten_prefixes(top);
    bool is_more = terms_ != operands_;
    // In order, a product that stands first stays an instruction: it is the start of the sum.
    for (std::size_t k = any_order(top) ? 0 : 1; k < terms_.size(); ++k) {
      if (!is_product(terms_[k])) continue;
      absorbed_[terms_[k]] = 1;
      is_more = true;
    }
    if (!is_more) return;
    chain_[top] = static_cast<Index>(ends_.size());
    chains_.insert(chains_.end(), terms_.begin(), terms_.end());
    ends_.push_back(static_cast<Index>(chains_.size()));
  }

  // Replaces each sum among the terms by its own terms, however deep it stands.
  void flatten_all() {
    for (std::size_t k = 0; k < terms_.size();) {
      const Index inner = terms_[k];
      if (!is_own_sum(inner)) {
        ++k;
        continue;
      }
      absorbed_[inner] = 1;
      terms_[k] = terms_.back();
      terms_.pop_back();
      program_.for_each_operand(at(inner), [&](Index operand) { terms_.push_back(operand); });
    }
    std::sort(terms_.begin(), terms_.end()); // the older first: runs of operands stay runs
  }

  // Replaces the first term by its own terms as long as it is a sum, which keeps the order.
  void flatten_prefixes(Index top) {
    std::vector<Index> backwards;
    for (Index sum = top;;) {
      operands_of(sum, terms_);
      if (at(sum).opcode == Opcode::Add && !is_own_sum(terms_[0]) && is_own_sum(terms_[1]))
        std::swap(terms_[0], terms_[1]); // a + b and b + a are the same number
      backwards.insert(backwards.end(), terms_.rbegin(), terms_.rend() - 1);
      if (!is_own_sum(terms_[0])) break;
      sum = terms_[0];
      absorbed_[sum] = 1;
    }
    backwards.push_back(terms_[0]);
    terms_.assign(backwards.rbegin(), backwards.rend());
  }

  void write(Index i) {
    if (chain_[i] != kNone) {
      const Index start = chain_[i] == 0 ? 0 : ends_[chain_[i] - 1];
      const std::span<const Index> terms(chains_.data() + start, ends_[chain_[i]] - start);
      out_.place(i) = any_order(i) ? write_in_any_order(terms) : write_in_order(terms);
    } else if (const Index divisor = own_reciprocal(i); divisor != kNone) {
      const Index x = at(i).a == divisor ? at(i).b : at(i).a;
      out_.place(i) = builder_.emit(Opcode::Divide, place(x), place(at(divisor).a), kNone,
                                    at(i).checked || at(divisor).checked);
    } else {
      out_.copy(i);
    }
  }

  // The operand of a product that is a reciprocal used by nothing else: x * (1 / y) is x / y but
  // for rounding.
  Index own_reciprocal(Index i) const {
    if (!any_order(i) || absorbed_[i] != 0 || at(i).opcode != Opcode::Mul) return kNone;
    for (const Index operand : {at(i).b, at(i).a})
      if (uses_[operand] == 1 && is_inverse(at(operand).opcode)) return operand;
    return kNone;
  }

  static bool is_inverse(Opcode opcode) {
    return opcode == Opcode::PowerInverse || opcode == Opcode::Reciprocal;
  }

  Index place(Index i) { return out_.place(i); }
  bool is_zero(Index placed) const { return builder_.is_constant(placed, 0.0); }

  // Of values that have been placed.
  Index sum(const std::vector<Index>& terms) {
    if (terms.size() == 1) return terms[0];
    if (terms.size() == 2) return builder_.emit(Opcode::Add, terms[0], terms[1]);
    return builder_.emit_many(Opcode::SumN, terms);
  }

  // `start`, which has been placed or is kNone for none, plus the products of the old program.
  Index dot(Index start, const std::vector<Index>& products) {
    if (products.size() == 1 && start != kNone)
      return builder_.emit(Opcode::MultiplyAdd, place(at(products[0]).a), place(at(products[0]).b),
                           start);
    std::vector<Index> operands;
    if (start != kNone) operands.push_back(start);
    for (const Index product : products) operands.push_back(place(at(product).a));
    for (const Index product : products) operands.push_back(place(at(product).b));
    return builder_.emit_many(Opcode::DotN, operands);
  }

  Index write_in_any_order(std::span<const Index> terms) {
    std::vector<Index> products, others;
    for (const Index term : terms) {
      if (is_product(term))
        products.push_back(term);
      else if (!is_zero(place(term)))
        others.push_back(place(term));
    }
    if (products.empty()) return others.empty() ? builder_.constant(0.0) : sum(others);
    if (std::ranges::any_of(others, [this](Index placed) { return is_infinite(placed); }))
      return apart(products, std::move(others));
    if (products.size() == 1 && others.empty())
      return builder_.emit(Opcode::Mul, place(at(products[0]).a), place(at(products[0]).b));
    // Products with the same first factor stand together: planners find matrices by such runs.
    std::sort(products.begin(), products.end(), [&](Index one, Index other) {
      return std::pair(at(one).a, at(one).b) < std::pair(at(other).a, at(other).b);
    });
    return dot(others.empty() ? kNone : sum(others), products);
  }

  // A fused product does not overflow before the sum does: beside an infinity it would give that
  // where the function gives nan.
  bool is_infinite(Index placed) const {
    return builder_.is_constant(placed) && !std::isfinite(builder_.constant_of(placed));
  }
  Index apart(const std::vector<Index>& products, std::vector<Index> terms) {
    for (const Index product : products)
      terms.push_back(builder_.emit(Opcode::Mul, place(at(product).a), place(at(product).b)));
    return sum(terms);
  }

  // Runs of products and runs of other terms in turn, each started by the sum of those before.
  Index write_in_order(std::span<const Index> terms) {
    Index so_far = place(terms[0]);
    for (std::size_t i = 1; i < terms.size();) {
      const bool products = is_product(terms[i]);
      std::size_t end = i;
      while (end < terms.size() && is_product(terms[end]) == products) ++end;
      const std::span<const Index> run = terms.subspan(i, end - i);
      so_far = products ? add_products(so_far, run) : add_terms(so_far, run);
      i = end;
    }
    return so_far;
  }

  Index add_products(Index so_far, std::span<const Index> products) {
    // A DotN without a start begins at 0 by itself; a single product would not.
    const bool starts_anew = is_zero(so_far) && products.size() > 1;
    return dot(starts_anew ? kNone : so_far, {products.begin(), products.end()});
  }

  Index add_terms(Index so_far, std::span<const Index> run) {
    std::vector<Index> terms{so_far};
    for (const Index term : run) terms.push_back(place(term));
    return sum(terms);
  }

  const Program& program_;
  const bool reorders_;
  const Marks exact_;
  Builder& builder_;
  Rewriting out_;
  const std::vector<Index> uses_;
  Marks absorbed_;
  std::vector<Index> chain_;            // for a sum that ends a chain, the chain's number
  std::vector<Index> chains_, ends_;    // the terms of all chains, and where each chain ends
  std::vector<Index> terms_, operands_; // of the chain at hand, and of the sum that ends it
};

} // namespace

Program fuse(const Program& program, const Passes& passes) {
  Builder builder(Passes::none());
  Fuser(program, passes.reorder, builder).run();
  return builder.finish();
}

} // namespace arenagrad::program
