#include "graph_bytes.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>

#include "nary_rules.h"

namespace arenagrad::core {
namespace {

constexpr char kMagic[] = {'A', 'G', 'R', 'D'};
constexpr std::uint16_t kVersion = 1, kHasAdjoints = 1;

constexpr auto kCrcTable = [] {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t c = i;
    for (int k = 0; k < 8; ++k) c = c & 1 ? c >> 1 ^ 0xEDB88320u : c >> 1;
    table[i] = c;
  }
  return table;
}();

std::uint32_t crc32(std::string_view bytes) {
  std::uint32_t c = 0xFFFFFFFFu;
  for (const char byte : bytes)
    c = kCrcTable[(c ^ static_cast<std::uint8_t>(byte)) & 0xFF] ^ c >> 8;
  return ~c;
}

// Bytes are shifted and not copied: compilers make one move of it where the order is right.
template <class T> void put(std::string& out, T number) {
  char bytes[sizeof(T)];
  for (std::size_t i = 0; i < sizeof(T); ++i) bytes[i] = static_cast<char>(number >> 8 * i);
  out.append(bytes, sizeof(T));
}
void put(std::string& out, double number) { put(out, std::bit_cast<std::uint64_t>(number)); }

Op group_of(Op op) { return op == Op::Softmax ? Op::SoftmaxGroup : Op::LogSoftmaxGroup; }

// A text that any reader of the message can show.
std::string printable(std::string_view text) {
  std::string out(text);
  std::replace_if(out.begin(), out.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
  return out;
}

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
  out.append(kMagic, sizeof kMagic);
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

class SavedPart::Reader {
public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  std::size_t left() const { return rest_.size(); }
  // Throws unless `count` items of so many bytes are there: before memory is asked for them.
  void need(std::size_t count, std::size_t bytes) const {
    if (count > rest_.size() / bytes) throw FormatError("a saved graph is cut short");
  }
  std::string_view text(std::size_t length) {
    need(length, 1);
    const std::string_view out = rest_.substr(0, length);
    rest_.remove_prefix(length);
    return out;
  }
  template <class T> T take() {
    T number = 0;
    const std::string_view bytes = text(sizeof(T));
    for (std::size_t i = 0; i < sizeof(T); ++i)
      number = static_cast<T>(number | T{static_cast<std::uint8_t>(bytes[i])} << 8 * i);
    return number;
  }
  void take(std::vector<double>& out, std::size_t count) {
    need(count, sizeof(double));
    out.resize(count);
    for (double& number : out) number = std::bit_cast<double>(take<std::uint64_t>());
  }

private:
  std::string_view rest_;
};

SavedPart::SavedPart(std::string_view bytes, NodeNumber size, const Arena& arena,
                     const Earlier& earlier) {
  constexpr std::size_t kHead = sizeof kMagic + sizeof kVersion, kTail = sizeof(std::uint32_t);
  if (bytes.size() < kHead || std::memcmp(bytes.data(), kMagic, sizeof kMagic) != 0)
    throw FormatError("this is no saved graph");
  Reader head(bytes.substr(sizeof kMagic));
  if (const auto version = head.take<std::uint16_t>(); version != kVersion)
    throw FormatError("a saved graph has the format " + std::to_string(version) +
                      ", and this version reads " + std::to_string(kVersion));
  if (bytes.size() < kHead + kTail ||
      Reader(bytes.substr(bytes.size() - kTail)).take<std::uint32_t>() !=
          crc32(bytes.substr(0, bytes.size() - kTail)))
    throw FormatError("a saved graph is cut short or damaged: its checksum is wrong");
  Reader in(bytes.substr(kHead, bytes.size() - kHead - kTail));
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
      if ((op == Op::Where && o.b != 3) || (op == Op::Take && o.b < 2) ||
          ((op == Op::Mean || op == Op::LogSumExp) && o.b == 0))
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
