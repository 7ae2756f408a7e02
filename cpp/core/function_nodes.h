// Nodes whose rule is a whole function, such as the gradient of a compiled one.
//
// A call of a function is a hidden node, Op::Function, with the operands, and right above it a node
// for each result, Op::FunctionResult, as a softmax has. What an ordinary group has beside its
// edges stands in a table here: the function, and the adjoints that the results have left for it.
// The entries are in the order of their nodes.
//
// Not thread-safe, like the arena that owns it. Cost: a binary search a step of a sweep.
#pragma once

#include <algorithm>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#include "errors.h"

namespace arenagrad::core {

// What a call computes. Immutable. It may call functions of the user's, which may make nodes.
class Function {
public:
  virtual ~Function() = default;
  virtual std::size_t operands() const = 0;
  virtual std::size_t results() const = 0;
  // From which read_function makes a function that is the same.
  virtual std::string bytes() const = 0;
  // Writes sum over results of adjoint * d result / d operand, for each operand at these primals.
  // Throws where a rule of micrograd's own would raise, and std::bad_alloc.
  virtual void pull_back(const double* operands, const double* adjoints,
                         double* operand_adjoints) const = 0;

protected:
  Function() = default;
  Function(const Function&) = default;
  Function& operator=(const Function&) = default;
};

// Throws FormatError for anything but what bytes() gives, whoever made it. Set once, by whoever has
// functions, before there are any bytes to read.
using ReadFunction = std::shared_ptr<const Function> (*)(std::string_view bytes);
inline ReadFunction read_function = nullptr;

class FunctionNodes {
public:
  struct Entry {
    NodeId node;
    std::shared_ptr<const Function> function;
    std::vector<double> adjoints; // of the results, during a sweep; else 0

    // The step of its node in a sweep, as of any other (nary.h). Whether it throws or not, the
    // adjoints that the results have left are gone.
    template <class X, class Add> void step(std::size_t count, X&& x, Add&& add) {
      std::vector<double> numbers, left;
      try {
        left.assign(adjoints.size(), 0.0);
        numbers.resize(2 * count);
      } catch (const std::bad_alloc&) {
        std::ranges::fill(adjoints, 0.0);
        throw;
      }
      left.swap(adjoints);
      for (std::size_t i = 0; i < count; ++i) numbers[i] = x(i);
      const std::shared_ptr<const Function> own = function; // calls may move this entry
      own->pull_back(numbers.data(), left.data(), numbers.data() + count);
      for (std::size_t i = 0; i < count; ++i) add(i, numbers[count + i]);
    }
  };

  bool empty() const { return entries_.empty(); }
  // Makes room for so many more: push() cannot fail then.
  void reserve(std::size_t more = 1) {
    if (entries_.capacity() - entries_.size() < more) entries_.reserve(2 * entries_.size() + more);
  }
  // Requires a node above those of all others.
  void push(NodeId node, std::shared_ptr<const Function> function, std::vector<double> adjoints) {
    entries_.push_back({node, std::move(function), std::move(adjoints)});
  }
  // Requires that the node is a call.
  Entry& of(NodeId node) { return *std::ranges::lower_bound(entries_, node, {}, &Entry::node); }
  const Entry& of(NodeId node) const {
    return *std::ranges::lower_bound(entries_, node, {}, &Entry::node);
  }
  // Forgets those of the nodes from `size` on.
  void drop_above(std::size_t size) {
    while (!entries_.empty() && entries_.back().node >= size) entries_.pop_back();
  }
  // Forgets those of nodes that are not marked, before compaction.
  void keep_marked(const std::uint8_t* marks) {
    std::erase_if(entries_, [=](const Entry& entry) { return marks[entry.node] == 0; });
  }
  // Follows the nodes to their new places, which keep the order.
  void follow(const NodeId* forward) {
    for (Entry& entry : entries_) entry.node = forward[entry.node];
  }

private:
  std::vector<Entry> entries_;
};

} // namespace arenagrad::core
