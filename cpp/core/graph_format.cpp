#include "graph_format.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include "bytes.h"
#include "nary.h"

namespace arenagrad::core {
namespace {

constexpr std::string_view kMagic = "AGRD";
constexpr std::uint16_t kVersion = 1, kHasAdjoints = 1;

} // namespace

// --- writing -------------------------------------------------------------------------------------

std::string write_part(Arena& arena, const Numbering& numbers, const std::vector<NodeId>& nodes) {
  std::uint8_t place[kOpCount] = {};
  std::vector<Op> used;
  std::size_t edges = 0;
  bool adjoints = false;
  for (const NodeId node : nodes) {
    const Op op = arena.op(node);
    std::uint8_t& known = place[static_cast<std::size_t>(op)];
    if (known == 0) {
      used.push_back(op);
      known = static_cast<std::uint8_t>(used.size());
    }
    if (op_info(op).operands == Operands::Many) edges += arena.operands(node).b;
    adjoints = adjoints || std::bit_cast<std::uint64_t>(arena.gradient(node)) != 0;
  }
  std::string out;
  out.reserve(64 + 16 * used.size() + nodes.size() * 25 + edges * 12);
  out += kMagic;
  put(out, kVersion);
  put(out, static_cast<std::uint16_t>(adjoints ? kHasAdjoints : 0));
  put(out, numbers.size() - static_cast<NodeNumber>(nodes.size()));
  put(out, static_cast<std::uint32_t>(nodes.size()));
  put(out, static_cast<std::uint32_t>(edges));
  put(out, static_cast<std::uint8_t>(used.size()));
  for (const Op op : used) {
    const std::string_view id = op_info(op).id;
    put(out, static_cast<std::uint8_t>(id.size()));
    out += id;
  }
  for (const NodeId node : nodes)
    put(out, static_cast<std::uint8_t>(place[static_cast<std::size_t>(arena.op(node))] - 1));
  for (const NodeId node : nodes) put(out, arena.data(node));
  if (adjoints)
    for (const NodeId node : nodes) put(out, arena.gradient(node));
  for (const NodeId node : nodes) {
    const Operand2 o = arena.operands(node);
    switch (op_info(arena.op(node)).operands) {
    case Operands::None:
      break;
    case Operands::Many:
      put(out, std::uint32_t{o.b});
      break;
    case Operands::Part:
      put(out, numbers.of(o.a));
      put(out, std::uint32_t{o.b});
      break;
    case Operands::Unary:
      put(out, numbers.of(o.a));
      break;
    case Operands::Binary:
    case Operands::Parametric:
      put(out, numbers.of(o.a));
      put(out, numbers.of(o.b));
    }
  }
  const auto each_many = [&](auto&& visit) {
    for (const NodeId node : nodes)
      if (op_info(arena.op(node)).operands == Operands::Many) visit(node, arena.operands(node));
  };
  each_many([&](NodeId, Operand2 o) {
    for (std::size_t k = 0; k < o.b; ++k) put(out, numbers.of(arena.edge_operands(o.a)[k]));
  });
  // Of a group they belong to a sweep under way.
  each_many([&](NodeId node, Operand2 o) {
    if (arena.op(node) == Op::FixedPartials)
      for (std::size_t k = 0; k < o.b; ++k) put(out, arena.edge_numbers(o.a)[k]);
  });
  put(out, crc32(out));
  return out;
}

// --- reading -------------------------------------------------------------------------------------

class SavedPart::Reader : public ByteReader {
public:
  explicit Reader(std::string_view bytes) : ByteReader(bytes, "a saved graph") {}
};

SavedPart::SavedPart(std::string_view bytes, NodeNumber size, const Arena& arena,
                     const Earlier& earlier) {
  Reader in(checked_body(bytes, kMagic, kVersion, "a saved graph"));
  read(in);
  if (first_ != size) throw FormatError("a part of a saved graph is missing");
  check(arena, earlier);
}

void SavedPart::read(Reader& in) {
  const auto flags = in.take<std::uint16_t>();
  if (flags > kHasAdjoints) throw FormatError("a saved graph has unknown flags");
  first_ = in.take<std::uint32_t>();
  const std::size_t count = in.take<std::uint32_t>(), edges = in.take<std::uint32_t>();
  if (count >= kNoNumber - first_) throw FormatError("a saved graph has too many nodes");

  std::vector<Op> used(in.take<std::uint8_t>());
  for (Op& op : used) {
    const std::string_view id = in.text(in.take<std::uint8_t>());
    const auto* found = std::find_if(std::begin(kOpInfo), std::end(kOpInfo),
                                     [&](const OpInfo& info) { return info.id == id; });
    if (found == std::end(kOpInfo))
      throw FormatError("a saved graph has an operation that this version does not know: " +
                        printable(id));
    op = static_cast<Op>(found - kOpInfo);
  }
  in.need(count, 1);
  ops_.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    const auto place = in.take<std::uint8_t>();
    if (place >= used.size()) throw FormatError("a saved graph has a node without operation");
    ops_.push_back(used[place]);
  }
  in.take(primals_, count);
  if (flags & kHasAdjoints) in.take(adjoints_, count);

  operands_.resize(count);
  std::size_t first_edge = 0, numbered = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const Operands kind = op_info(ops_[i]).operands;
    Numbers& o = operands_[i];
    if (kind == Operands::Many) {
      o = {static_cast<NodeNumber>(first_edge), in.take<NodeNumber>()};
      if (o.b > edges - first_edge) throw FormatError("a saved graph has too few edges");
      first_edge += o.b;
      if (ops_[i] == Op::FixedPartials) numbered += o.b;
    } else if (kind != Operands::None) {
      o = {in.take<NodeNumber>(), kind == Operands::Unary ? 0 : in.take<NodeNumber>()};
    }
  }
  if (first_edge != edges) throw FormatError("a saved graph has too many edges");
  in.need(edges, sizeof(NodeNumber));
  edges_.resize(edges);
  for (NodeNumber& edge : edges_) edge = in.take<NodeNumber>();
  in.take(edge_numbers_, numbered);
  if (in.left() != 0) throw FormatError("a saved graph is longer than it says");
}

void SavedPart::check(const Arena& arena, const Earlier& earlier) {
  const auto fail = [] { throw FormatError("a saved graph has an operand that cannot be one"); };
  std::vector<bool> used(size());
  for (std::size_t i = 0; i < size(); ++i) {
    // The operation of an operand, which must come before its user.
    const auto operand = [&](NodeNumber number) {
      if (number >= first_ + i) fail();
      if (number < first_) return arena.op(earlier(number));
      used[number - first_] = true;
      return ops_[number - first_];
    };
    const auto visible = [&](NodeNumber number) {
      if (is_hidden(operand(number))) fail();
    };
    const Op op = ops_[i];
    const Numbers o = operands_[i];
    switch (op_info(op).operands) {
    case Operands::None:
      if (op == Op::LiteralInt &&
          !(std::isfinite(primals_[i]) && primals_[i] == std::floor(primals_[i])))
        throw FormatError("a saved graph has an integer that is none");
      break;
    case Operands::Many:
      if (o.b < operand_counts(op).least || o.b > operand_counts(op).most)
        throw FormatError("a saved graph has a node with a wrong number of operands");
      for (std::size_t k = 0; k < o.b; ++k) visible(edges_[o.a + k]);
      scratch_ = std::max(scratch_, scratch_size(op, o.b));
      break;
    case Operands::Part: {
      if (operand(o.a) != group_of(op)) fail();
      const NodeNumber count =
          o.a < first_ ? arena.operands(earlier(o.a)).b : operands_[o.a - first_].b;
      if (o.b >= count) fail();
      break;
    }
    case Operands::Unary:
      visible(o.a);
      break;
    case Operands::Parametric:
      visible(o.a);
      if (!is_literal(operand(o.b))) fail();
      break;
    case Operands::Binary:
      visible(o.a);
      visible(o.b);
    }
  }
  // So all lives while the last does, and stays together when the arena is compacted.
  for (std::size_t i = 0; i + 1 < size(); ++i)
    if (!used[i]) throw FormatError("a saved graph has a node that nothing uses");
  if (size() != 0 && is_hidden(ops_.back())) fail();
}

NodeId SavedPart::record(Arena& arena, const Earlier& earlier) const {
  const auto first = static_cast<NodeId>(arena.size());
  const auto node_of = [&](NodeNumber number) {
    return number < first_ ? earlier(number) : static_cast<NodeId>(first + (number - first_));
  };
  std::vector<NodeId> edges(edges_.size());
  std::transform(edges_.begin(), edges_.end(), edges.begin(), node_of);
  const double* partials = edge_numbers_.data();
  for (std::size_t i = 0; i < size(); ++i) {
    const Op op = ops_[i];
    const double y = primals_[i];
    const Numbers o = operands_[i];
    switch (op_info(op).operands) {
    case Operands::None:
      arena.push_leaf(y, op);
      break;
    case Operands::Many:
      arena.push_many(op, y, edges.data() + o.a, op == Op::FixedPartials ? partials : nullptr, o.b);
      if (op == Op::FixedPartials) partials += o.b;
      break;
    case Operands::Part:
      arena.push(op, y, {node_of(o.a), static_cast<NodeId>(o.b)});
      break;
    case Operands::Unary:
      arena.push(op, y, {node_of(o.a), kNoNode});
      break;
    case Operands::Binary:
    case Operands::Parametric:
      arena.push(op, y, {node_of(o.a), node_of(o.b)});
    }
  }
  if (!adjoints_.empty())
    std::copy(adjoints_.begin(), adjoints_.end(),
              arena.gradients(std::size_t{first} + size()) + first);
  return first;
}

} // namespace arenagrad::core
