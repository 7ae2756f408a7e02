#include "block.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

namespace arenagrad::program {

LaneBlock::LaneBlock(const Schedule& schedule, const Kernels& kernels, std::size_t block,
                     const LaneMemory& shared, const std::vector<Column>& inputs,
                     const std::vector<Column>& outputs, LaneMemory& memory)
    : schedule_(schedule), kernels_(kernels), stride_(lane_stride(block)),
      uniforms_(shared.uniforms.data()), packed_(shared.packed.data()), inputs_(inputs),
      outputs_(outputs), memory_(memory) {
  constexpr std::size_t kLine = 8; // doubles of a cache line
  memory.numbers.resize((schedule.slots + kOwnSlots) * stride_ + kLine);
  const auto address = reinterpret_cast<std::uintptr_t>(memory.numbers.data());
  slots_ = memory.numbers.data() + (kLine - address / sizeof(double) % kLine) % kLine;
  memory.columns.assign(schedule.column_slots.size(), nullptr);
  for (std::uint32_t k = 0; k < schedule.column_slots.size(); ++k) {
    const std::uint32_t slot = schedule.column_slots[k];
    if (slot == kNone) continue;
    if (column(k).step == 1)
      in_place_.push_back(k);
    else
      memory.columns[k] = slots_ + slot * stride_;
  }
  memory.lists.resize(schedule.lists.size());
  for (std::size_t k = 0; k < schedule.lists.size(); ++k) memory.lists[k] = lane(schedule.lists[k]);
  memory.pointers.resize(schedule.pointers.size());
  for (std::size_t k = 0; k < schedule.pointers.size(); ++k)
    memory.pointers[k] = at(schedule.pointers[k]);
}

const Column& LaneBlock::column(Place number) const {
  return number < schedule_.input_count ? inputs_[number]
                                        : outputs_[number - schedule_.input_count];
}

Strided LaneBlock::lane(Place place) const {
  if ((place & kPlaceKind) == kUniform) return {uniforms_ + number_of(place), 0};
  return {at(place), 1};
}

double* LaneBlock::at(Place place) const {
  if ((place & kPlaceKind) == kColumn) return memory_.columns[number_of(place)];
  return slots_ + place * stride_;
}

void LaneBlock::run(std::size_t first, std::size_t count, double* sums, std::uint8_t* good,
                    Rows& rows) {
  first_ = first, count_ = count;
  for (const std::uint32_t k : in_place_) memory_.columns[k] = column(k).at + first;
  for (const std::uint32_t k : schedule_.columns_in_lists)
    memory_.lists[k].at = at(schedule_.lists[k]);
  for (const std::uint32_t k : schedule_.columns_in_pointers)
    memory_.pointers[k] = at(schedule_.pointers[k]);
  if (good != nullptr) std::fill_n(good += first, count, std::uint8_t{1});
  for (const Act& act : schedule_.rows) {
    switch (act.what) {
    case Do::Map: {
      double* const y = at(act.y);
      const Strided a = lane(act.a), none{nullptr, 0};
      kernels_.map[static_cast<std::size_t>(act.opcode)](
          y, a, act.b == kNone ? none : lane(act.b), act.c == kNone ? none : lane(act.c), count);
      if (act.checked) check(y, good, rows);
      break;
    }
    case Do::Many:
      many(act);
      if (act.checked) check(at(act.y), good, rows);
      break;
    case Do::TanhAndPartial:
      kernels_.tanh_and_partial(at(act.y), at(act.b), at(act.a), count);
      if (act.checked) check(at(act.y), good, rows);
      break;
    case Do::Layer: {
      double* const* const y = memory_.pointers.data() + act.a;
      kernels_.layer(y, packed_ + act.y, y + act.b, act.b, act.c, count);
      break;
    }
    case Do::Load:
      load(act);
      break;
    case Do::Store:
      store(act);
      break;
    case Do::Guard:
      guard(act, good, rows);
      break;
    case Do::Total:
      sums[act.y] += kernels_.total(at(act.a), count);
      break;
    case Do::ScaledTotal:
      sums[act.y] += uniforms_[number_of(act.b)] * kernels_.total(at(act.a), count);
      break;
    case Do::Inner:
      sums[act.y] += kernels_.inner(at(act.a), at(act.b), count);
      break;
    case Do::Grid: {
      double* const* const a = memory_.pointers.data() + act.a;
      kernels_.grid(sums + act.y, a, act.b, a + act.b, act.c, count);
      break;
    }
    }
  }
}

void LaneBlock::load(const Act& act) const {
  const Column& from = inputs_[act.c];
  double* const y = at(act.y);
  const double* const x = from.at + static_cast<std::ptrdiff_t>(first_) * from.step;
  if (y == x) return; // in place
  for (std::size_t r = 0; r < count_; ++r) y[r] = x[static_cast<std::ptrdiff_t>(r) * from.step];
}

void LaneBlock::store(const Act& act) const {
  const Column& to = outputs_[act.c];
  const double* const x = at(act.a);
  double* const y = to.at + static_cast<std::ptrdiff_t>(first_) * to.step;
  if (y == x) return; // in place
  for (std::size_t r = 0; r < count_; ++r) y[static_cast<std::ptrdiff_t>(r) * to.step] = x[r];
}

void LaneBlock::many(const Act& act) {
  double* const y = at(act.y);
  const Strided* const x = memory_.lists.data() + act.a;
  const std::size_t count = act.b;
  switch (act.opcode) {
  case Opcode::SumN:
    return kernels_.sum(y, x, count, count_);
  case Opcode::DotN:
    return kernels_.dot(y, x, count, count_);
  case Opcode::NormN:
    return norm(y, x, count);
  case Opcode::MaxShift:
    std::fill_n(y, count_, -std::numeric_limits<double>::infinity());
    for (std::size_t k = 0; k < count; ++k)
      for (std::size_t r = 0; r < count_; ++r) {
        const double at = x[k].at[r * x[k].step];
        y[r] = at > y[r] ? at : y[r];
      }
    return;
  case Opcode::LogSumExpShifted:
    return log_total(y, x, count);
  default: { // Take
    for (std::size_t r = 0; r < count_; ++r) {
      const double i = x[0].at[r * x[0].step];
      y[r] = std::nan("");
      if (!core::is_index(i, count - 1)) continue;
      const Strided& taken = x[1 + static_cast<std::size_t>(i)];
      y[r] = taken.at[r * taken.step];
    }
  }
  }
}

// As core::norm: the plain sum of squares, unless it is too large or too small.
void LaneBlock::norm(double* y, const Strided* x, std::size_t count) {
  std::fill_n(y, count_, 0.0);
  for (std::size_t k = 0; k < count; ++k)
    for (std::size_t r = 0; r < count_; ++r) {
      const double at = x[k].at[r * x[k].step];
      y[r] += at * at;
    }
  for (std::size_t r = 0; r < count_; ++r)
    y[r] = y[r] > 1e-280 && y[r] < 1e300
               ? std::sqrt(y[r])
               : core::norm(count, [&](std::size_t k) { return x[k].at[r * x[k].step]; });
}

// As core::Exponentials: the first of the largest is left out of the sum.
void LaneBlock::log_total(double* y, const Strided* x, std::size_t count) {
  double* const largest = slots_ + schedule_.slots * stride_;
  double* const where = largest + stride_;
  double* const each = where + stride_;
  std::fill_n(largest, count_, -std::numeric_limits<double>::infinity());
  std::fill_n(where, count_, 0.0);
  for (std::size_t k = 0; k < count; ++k)
    for (std::size_t r = 0; r < count_; ++r) {
      const double at = x[k].at[r * x[k].step];
      const bool larger = at > largest[r];
      largest[r] = larger ? at : largest[r];
      where[r] = larger ? static_cast<double>(k) : where[r];
    }
  std::fill_n(y, count_, 0.0);
  const auto map = [&](Opcode opcode) { return kernels_.map[static_cast<std::size_t>(opcode)]; };
  for (std::size_t k = 0; k < count; ++k) {
    map(Opcode::ShiftedExp)(each, x[k], {largest, 1}, {nullptr, 0}, count_);
    for (std::size_t r = 0; r < count_; ++r)
      y[r] += where[r] == static_cast<double>(k) ? 0.0 : each[r];
  }
  map(Opcode::Log1p)(y, {y, 1}, {nullptr, 0}, {nullptr, 0}, count_);
}

void LaneBlock::check(const double* y, std::uint8_t* good, Rows& rows) const {
  if (kernels_.finite(y, count_)) return;
  rows.finite = false;
  for (std::size_t r = 0; good != nullptr && r < count_; ++r)
    if (!std::isfinite(y[r])) good[r] = 0;
}

void LaneBlock::guard(const Act& act, std::uint8_t* good, Rows& rows) const {
  const double* const x = at(act.a);
  std::size_t wrong = 0;
  for (std::size_t r = 0; r < count_; ++r) wrong += (x[r] != 0.0) != act.outcome ? 1 : 0;
  if (wrong == 0) return;
  rows.guards = false;
  for (std::size_t r = 0; good != nullptr && r < count_; ++r)
    if ((x[r] != 0.0) != act.outcome) good[r] = 0;
}

} // namespace arenagrad::program
