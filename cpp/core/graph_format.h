// Nodes as bytes, and bytes as nodes again: pickling, copying and files are made of these parts.
//
// A saved graph numbers its nodes, operands before users. It comes in parts, each the nodes below
// one root that no part before has: part k continues the numbers of part k-1 and may refer to them.
// A part, all numbers little-endian:
//   "AGRD", u16 version, u16 flags (1: adjoints follow, 2: functions), u32 first number, u32 nodes,
//   u32 edges, u8 operations, each u8 length and its id in ops.def (so that a part outlives new
//   rows) u8 operation of each node, f64 primals, f64 adjoints, u32 operands as in Operand2 with
//   numbers for nodes, Many nodes having their count alone, u32 edges, f64 numbers of edges; with
//   flag 2 u32 functions, each u32 length and its bytes, u32 function of each call; u32 CRC-32
//
// Not thread-safe. Never recurses. Cost: about 100 ns a node either way.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "numbering.h"

namespace arenagrad::core {

// The part of these nodes, as add_below gave them. Throws std::bad_alloc.
std::string write_part(Arena& arena, const Numbering& numbers, const std::vector<NodeId>& nodes);

// The node of a number below the first of a part.
using Earlier = std::function<NodeId(NodeNumber)>;

// A part that has been read and found good, not yet recorded.
class SavedPart {
public:
  // `size` is how many numbers the parts before have. Throws FormatError for anything but what
  // write_part makes, whoever made it: every operation, operand and count is looked at.
  SavedPart(std::string_view bytes, NodeNumber size, const Arena& arena, const Earlier& earlier);

  std::size_t size() const { return ops_.size(); }
  std::size_t edges() const { return edges_.size(); }
  std::size_t scratch() const { return scratch_; }
  Op op(std::size_t i) const { return ops_[i]; }
  // Records all nodes, one right after the other, and returns the first. Requires reserved room.
  NodeId record(Arena& arena, const Earlier& earlier) const;

private:
  class Reader;
  struct Numbers {
    NodeNumber a, b;
  };
  void read(Reader& in);
  void read_functions(Reader& in);
  void check(const Arena& arena, const Earlier& earlier);
  void check_node(std::size_t i, const Arena& arena, const Earlier& earlier,
                  std::vector<bool>& used);

  NodeNumber first_ = 0;
  std::size_t scratch_ = 0;
  std::vector<Op> ops_;
  std::vector<double> primals_, adjoints_; // adjoints_ is empty if all are zero
  std::vector<Numbers> operands_;          // of a Many node its first edge and their count
  std::vector<NodeNumber> edges_;
  std::vector<double> edge_numbers_;                                 // empty if no node has them
  std::map<std::size_t, std::shared_ptr<const Function>> functions_; // of calls, by position
};

} // namespace arenagrad::core
