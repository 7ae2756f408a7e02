// The memory of Value objects.
#include <algorithm>
#include <memory>
#include <new>
#include <unordered_set>

#include "value.h"

namespace arenagrad::bindings {
namespace {

constexpr std::size_t kBlock = 8192; // objects in a block: 256 KiB, mapped and unmapped as a whole
constexpr std::size_t kBatch = 64;   // objects made at a time, so that a small program stays small
constexpr std::size_t kKeep = 4;     // blocks that are never given back

std::unordered_set<PyValue*>& instances() {
  static auto* set = new std::unordered_set<PyValue*>;
  return *set;
}

} // namespace

ValuePool pool;

// Objects from the first on have been made; those after them are untouched memory.
struct ValuePool::Block {
  core::Reservation memory;
  std::size_t made = 0;

  PyValue* begin() const { return static_cast<PyValue*>(memory.base()); }
  PyValue* end() const { return begin() + made; }
};

void ValuePool::put_aside(PyValue* value) {
  value->dict = aside_;
  aside_ = as_object(value);
}

void ValuePool::spill() {
  while (ready_count_ > kReady / 2) put_aside(ready_[--ready_count_]);
}

void ValuePool::grow() {
  for (std::size_t i = 0; i < kBatch && aside_ != nullptr; ++i) {
    PyValue* value = as_value(aside_);
    aside_ = value->dict;
    put(value);
  }
  if (!empty()) return;
  if (blocks_ == nullptr) blocks_ = new std::vector<std::unique_ptr<Block>>;
  if (blocks_->empty() || blocks_->back()->made == kBlock) {
    auto block = std::make_unique<Block>();
    if (!block->memory.map(kBlock * sizeof(PyValue))) throw std::bad_alloc();
    blocks_->push_back(std::move(block));
  }
  Block& block = *blocks_->back();
  for (std::size_t i = 0; i < kBatch; ++i) {
    PyValue* value = block.end();
    PyObject_Init(as_object(value), value_type); // a reference to the type, kept while dead
    value->link = {};
    ++block.made;
    put(value);
  }
}

template <class Use> void ValuePool::each_object(Use&& use) {
  if (blocks_ == nullptr) return;
  for (const auto& block : *blocks_) std::for_each(block->begin(), block->end(), use);
}

void ValuePool::walk(core::HandleIndex::Visit visit, void* context) {
  each_object([&](PyValue& value) {
    if (value.link.attached()) visit(value.link, context);
  });
}

void ValuePool::shrink_if_worth() {
  if (blocks_ == nullptr || blocks_->size() <= kKeep) return;
  const std::size_t live = arena().handle_count();
  if (4 * live > blocks_->size() * kBlock) return;
  // After a look that found the living spread over the blocks, another pays only later.
  if (live >= shrink_below_ && blocks_->size() <= 2 * blocks_left_) return;

  const auto attached = [](const PyValue& value) { return value.link.attached(); };
  const auto in_use =
      std::stable_partition(blocks_->begin(), blocks_->end(), [&](const auto& block) {
        return std::any_of(block->begin(), block->end(), attached);
      });
  const auto used = static_cast<std::size_t>(in_use - blocks_->begin());
  std::size_t unmade = 0;
  while (blocks_->size() > std::max(used, kKeep)) {
    unmade += blocks_->back()->made;
    blocks_->pop_back();
  }
  Py_SET_REFCNT(value_type, Py_REFCNT(value_type) - static_cast<Py_ssize_t>(unmade));
  ready_count_ = 0;
  aside_ = nullptr;
  each_object([&](PyValue& value) {
    if (!attached(value)) put_aside(&value);
  });
  shrink_below_ = live / 2;
  blocks_left_ = blocks_->size();
}

void remember_instance(PyValue* value) { instances().insert(value); }
void forget_instance(PyValue* value) { instances().erase(value); }

void walk_handles(core::HandleIndex::Visit visit, void* context) {
  pool.walk(visit, context);
  for (PyValue* value : instances())
    if (value->link.attached()) visit(value->link, context);
}

} // namespace arenagrad::bindings
