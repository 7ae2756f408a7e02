// Which number of a block of rows lies where: a slot is used again once its number has had its last
// use.
#include "schedule.h"

namespace arenagrad::program {
namespace {

// What more lists than this have is kept in a slot, not in the caller's memory, which each block
// would have to look up once a list.
constexpr std::uint32_t kListsOfColumn = 4;

class Slots {
public:
  Slots(Schedule& schedule, const Program& program)
      : schedule_(schedule), program_(program), last_(program.size(), 0), lists_(program.size(), 0),
        slot_(program.size(), kNone), place_(program.size(), kNone),
        output_(program.size(), kNone) {}

  void run() {
    schedule_.column_slots.assign(program_.input_count + program_.outputs.size(), kNone);
    for (std::size_t k = program_.outputs.size(); k-- > 0;)
      output_[program_.outputs[k]] = static_cast<Index>(k);
    find_last_uses();
    std::vector<Act> acts;
    acts.reserve(schedule_.rows.size() + program_.input_count);
    for (std::uint32_t t = 0; t < schedule_.rows.size(); ++t) {
      Act& act = schedule_.rows[t];
      for_each_use(act, [&](Place use) {
        if (place_[use] != kNone) return;
        const Index input = program_.instructions[use].a;
        define(use, input);
        acts.push_back({Do::Load, Opcode::Input, false, false, place_[use], kNone, kNone, input});
      });
      place(act, t);
      acts.push_back(act);
    }
    schedule_.rows = std::move(acts);
    find_columns(schedule_.lists, schedule_.columns_in_lists);
    find_columns(schedule_.pointers, schedule_.columns_in_pointers);
  }

private:
  static void find_columns(const std::vector<Place>& places, std::vector<std::uint32_t>& columns) {
    for (std::uint32_t k = 0; k < places.size(); ++k)
      if ((places[k] & kPlaceKind) == kColumn) columns.push_back(k);
  }

  // Calls visit with a reference to each place that has to be found.
  template <class Visit> void for_each_use(Act& act, Visit&& visit) {
    const auto look = [&](Place& use) {
      if ((use & kPlaceKind) == kSlot) visit(use);
    };
    if (act.what == Do::Many) {
      for (Place k = 0; k < act.b; ++k) look(schedule_.lists[act.a + k]);
      return;
    }
    if (act.what == Do::Layer || act.what == Do::Grid) {
      const Place results = act.what == Do::Layer ? act.b : 0;
      for (Place k = results; k < act.b + act.c; ++k) look(schedule_.pointers[act.a + k]);
      return;
    }
    look(act.a);
    if (act.what == Do::Map || act.what == Do::Inner) look(act.b);
    if (act.what == Do::Map) look(act.c);
  }
  template <class Visit> void for_each_result(Act& act, Visit&& visit) {
    for (Place k = 0; act.what == Do::Layer && k < act.b; ++k) visit(schedule_.pointers[act.a + k]);
    if (act.what <= Do::TanhAndPartial) visit(act.y);
    if (act.what == Do::TanhAndPartial) visit(act.b);
  }

  void find_last_uses() {
    for (std::uint32_t t = 0; t < schedule_.rows.size(); ++t) {
      Act& act = schedule_.rows[t];
      for_each_use(act, [&](Place use) {
        last_[use] = t;
        if (act.what == Do::Many || act.what == Do::Layer || act.what == Do::Grid) ++lists_[use];
      });
      for_each_result(act, [&](Place result) { last_[result] = t; });
    }
  }

  // A place for a number, which may be column `column`.
  void define(Index i, Index column) {
    if (free_.empty()) free_.push_back(schedule_.slots++);
    place_[i] = slot_[i] = free_.back();
    free_.pop_back();
    if (column == kNone || lists_[i] > kListsOfColumn) return;
    schedule_.column_slots[column] = slot_[i];
    place_[i] = kColumn | column;
  }

  void release(Index i) {
    if (slot_[i] != kNone) free_.push_back(slot_[i]);
    slot_[i] = kNone;
  }

  void place(Act& act, std::uint32_t t) {
    dying_.clear();
    for_each_use(act, [&](Place& use) {
      if (last_[use] == t) dying_.push_back(use);
      use = place_[use];
    });
    // Only maps may write over what they read.
    if (act.what != Do::Map) for_each_result(act, [&](Place& result) { write(result, t); });
    for (const Index i : dying_) release(i);
    if (act.what == Do::Map) write(act.y, t);
    for (const Index i : unused_) release(i);
    unused_.clear();
  }

  void write(Place& result, std::uint32_t t) {
    const Index i = result;
    define(i, output_[i] == kNone ? kNone : program_.input_count + output_[i]);
    if (last_[i] == t) unused_.push_back(i);
    result = place_[i];
  }

  Schedule& schedule_;
  const Program& program_;
  std::vector<std::uint32_t> last_;  // the act that uses it last
  std::vector<std::uint32_t> lists_; // how many lists have it
  std::vector<std::uint32_t> slot_;  // while it lives
  std::vector<Place> place_;
  std::vector<Index> output_; // the first that it is
  std::vector<std::uint32_t> free_;
  std::vector<Index> dying_, unused_;
};

} // namespace

void place_in_slots(Schedule& schedule, const Program& program) { Slots(schedule, program).run(); }

} // namespace arenagrad::program
