#include "graph_format.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <unordered_map>

#include "bytes.h"
#include "nary.h"

namespace arenagrad::core {
namespace {

constexpr std::string_view kMagic = "AGRD";
constexpr std::uint16_t kVersion = 1, kHasAdjoints = 1, kHasFunctions = 2;

} // namespace

// --- writing -------------------------------------------------------------------------------------

namespace {

// The operations that a part names, in order of their first node, and where each of them stands.
struct OpNames {
  std::vector<Op> used;
  std::uint8_t position[kOpCount] = {}; // 1 for the first; 0: not used

  void add(Op op) {
    std::uint8_t& known = position[static_cast<std::size_t>(op)];
    if (known != 0) return;
    used.push_back(op);
    known = static_cast<std::uint8_t>(used.size());
  }
};

class PartWriter {
public:
  PartWriter(Arena& arena, const Numbering& numbers, const std::vector<NodeId>& nodes)
      : arena_(arena), numbers_(numbers), nodes_(nodes) {
    for (const NodeId node : nodes) {
      if (arena.op(node) == Op::Function) add_function(*arena.functions().of(node).function);
      names_.add(arena.op(node));
      if (is_many(node)) edges_ += arena.operands(node).b;
      has_adjoints_ = has_adjoints_ || std::bit_cast<std::uint64_t>(arena.gradient(node)) != 0;
    }
  }

  std::string write() {
    out_.reserve(64 + 16 * names_.used.size() + nodes_.size() * 25 + edges_ * 12);
    head();
    for (const NodeId node : nodes_)
      put(out_, static_cast<std::uint8_t>(
                    names_.position[static_cast<std::size_t>(arena_.op(node))] - 1));
    for (const NodeId node : nodes_) put(out_, arena_.data(node));
    if (has_adjoints_)
      for (const NodeId node : nodes_) put(out_, arena_.gradient(node));
    for (const NodeId node : nodes_) operands(node);
    edges();
    functions();
    put(out_, crc32(out_));
    return std::move(out_);
  }

private:
  bool is_many(NodeId node) const { return op_info(arena_.op(node)).operands == Operands::Many; }

  void head() {
    out_ += kMagic;
    put(out_, kVersion);
    const int flags = (has_adjoints_ ? kHasAdjoints : 0) | (functions_.empty() ? 0 : kHasFunctions);
    put(out_, static_cast<std::uint16_t>(flags));
    put(out_, numbers_.size() - static_cast<NodeNumber>(nodes_.size()));
    put(out_, static_cast<std::uint32_t>(nodes_.size()));
    put(out_, static_cast<std::uint32_t>(edges_));
    put(out_, static_cast<std::uint8_t>(names_.used.size()));
    for (const Op op : names_.used) {
      const std::string_view id = op_info(op).id;
      put(out_, static_cast<std::uint8_t>(id.size()));
      out_ += id;
    }
  }

  void operands(NodeId node) {
    const Operand2 o = arena_.operands(node);
    switch (op_info(arena_.op(node)).operands) {
    case Operands::None:
      break;
    case Operands::Many:
      put(out_, std::uint32_t{o.b});
      break;
    case Operands::Part:
      put(out_, numbers_.of(o.a));
      put(out_, std::uint32_t{o.b});
      break;
    case Operands::Unary:
      put(out_, numbers_.of(o.a));
      break;
    case Operands::Binary:
    case Operands::Parametric:
      put(out_, numbers_.of(o.a));
      put(out_, numbers_.of(o.b));
    }
  }

  // All operands of Many nodes, then the partials of those that have them. The numbers of a group's
  // edges are not written: they belong to a sweep under way.
  void edges() {
    for (const NodeId node : nodes_) {
      const Operand2 o = arena_.operands(node);
      for (std::size_t k = 0; is_many(node) && k < o.b; ++k)
        put(out_, numbers_.of(arena_.edge_operands(o.a)[k]));
    }
    for (const NodeId node : nodes_) {
      const Operand2 o = arena_.operands(node);
      for (std::size_t k = 0; arena_.op(node) == Op::FixedPartials && k < o.b; ++k)
        put(out_, arena_.edge_numbers(o.a)[k]);
    }
  }

  void add_function(const Function& function) {
    const auto [at, is_new] = functions_.emplace(&function, functions_.size());
    if (is_new) function_bytes_.push_back(function.bytes());
    function_of_call_.push_back(static_cast<std::uint32_t>(at->second));
  }
  void functions() {
    if (functions_.empty()) return;
    put(out_, static_cast<std::uint32_t>(function_bytes_.size()));
    for (const std::string& bytes : function_bytes_) {
      put(out_, static_cast<std::uint32_t>(bytes.size()));
      out_ += bytes;
    }
    for (const std::uint32_t function : function_of_call_) put(out_, function);
  }

  Arena& arena_;
  const Numbering& numbers_;
  const std::vector<NodeId>& nodes_;
  OpNames names_;
  std::size_t edges_ = 0;
  bool has_adjoints_ = false;
  std::unordered_map<const Function*, std::size_t> functions_; // where each stands in the next
  std::vector<std::string> function_bytes_;
  std::vector<std::uint32_t> function_of_call_; // of each call, in order
  std::string out_;
};

} // namespace

std::string write_part(Arena& arena, const Numbering& numbers, const std::vector<NodeId>& nodes) {
  return PartWriter(arena, numbers, nodes).write();
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
  if (flags > (kHasAdjoints | kHasFunctions)) throw FormatError("a saved graph has unknown flags");
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
  if ((flags & kHasFunctions) != 0) read_functions(in);
  if (in.left() != 0) throw FormatError("a saved graph is longer than it says");
}

// A function for each call, of which several may have the same.
void SavedPart::read_functions(Reader& in) {
  if (read_function == nullptr) throw FormatError("a saved graph has functions");
  std::vector<std::shared_ptr<const Function>> all;
  for (auto count = in.take<std::uint32_t>(); count > 0; --count)
    all.push_back(read_function(in.text(in.take<std::uint32_t>())));
  for (std::size_t i = 0; i < size(); ++i) {
    if (ops_[i] != Op::Function) continue;
    const auto number = in.take<std::uint32_t>();
    if (number >= all.size()) throw FormatError("a saved graph has a call of no function");
    functions_.emplace(i, all[number]);
  }
}

namespace {
[[noreturn]] void refuse_operand() {
  throw FormatError("a saved graph has an operand that cannot be one");
}
} // namespace

void SavedPart::check(const Arena& arena, const Earlier& earlier) {
  std::vector<bool> used(size());
  for (std::size_t i = 0; i < size(); ++i) check_node(i, arena, earlier, used);
  // So all nodes live while the last does, and stay together when the arena is compacted.
  for (std::size_t i = 0; i + 1 < size(); ++i)
    if (!used[i]) throw FormatError("a saved graph has a node that nothing uses");
  if (size() != 0 && is_hidden(ops_.back())) refuse_operand();
}

void SavedPart::check_node(std::size_t i, const Arena& arena, const Earlier& earlier,
                           std::vector<bool>& used) {
  // The operation of an operand, which must come before its user.
  const auto operand = [&](NodeNumber number) {
    if (number >= first_ + i) refuse_operand();
    if (number < first_) return arena.op(earlier(number));
    used[number - first_] = true;
    return ops_[number - first_];
  };
  const auto visible = [&](NodeNumber number) {
    if (is_hidden(operand(number))) refuse_operand();
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
    if (op == Op::Function && (!functions_.contains(i) || functions_.at(i)->operands() != o.b))
      throw FormatError("a saved graph has a call with a wrong number of operands");
    for (std::size_t k = 0; k < o.b; ++k) {
      const bool shape = has_shapes(op) && k + 1 < o.b;
      if (shape && is_literal(operand(edges_[o.a + k]))) continue;
      if (shape && op == Op::Polygamma) refuse_operand();
      visible(edges_[o.a + k]);
    }
    scratch_ = std::max(scratch_, scratch_size(op, o.b));
    break;
  case Operands::Part: {
    const bool is_result = op == Op::FunctionResult;
    if (operand(o.a) != (is_result ? Op::Function : group_of(op))) refuse_operand();
    const std::size_t group = o.a - first_;
    std::size_t count = 0;
    if (is_result)
      count = (o.a < first_ ? arena.functions().of(earlier(o.a)).function : functions_.at(group))
                  ->results();
    else
      count = o.a < first_ ? arena.operands(earlier(o.a)).b : operands_[group].b;
    if (o.b >= count) refuse_operand();
    break;
  }
  case Operands::Unary:
    visible(o.a);
    break;
  case Operands::Parametric:
    visible(o.a);
    if (!is_literal(operand(o.b))) refuse_operand();
    break;
  case Operands::Binary:
    visible(o.a);
    visible(o.b);
  }
}

NodeId SavedPart::record(Arena& arena, const Earlier& earlier) const {
  const auto first = static_cast<NodeId>(arena.size());
  const auto node_of = [&](NodeNumber number) {
    return number < first_ ? earlier(number) : static_cast<NodeId>(first + (number - first_));
  };
  std::vector<NodeId> edges(edges_.size());
  std::transform(edges_.begin(), edges_.end(), edges.begin(), node_of);
  // Whatever can fail does so before the first node.
  std::vector<std::vector<double>> adjoints;
  adjoints.reserve(functions_.size());
  for (const auto& [i, function] : functions_) adjoints.emplace_back(function->results(), 0.0);
  arena.functions().reserve(functions_.size());
  auto next_adjoints = adjoints.begin();
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
      if (op == Op::Function)
        arena.functions().push(static_cast<NodeId>(first + i), functions_.at(i),
                               std::move(*next_adjoints++));
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
