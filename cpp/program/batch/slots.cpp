// Which value of a block of rows lies in which slot.
//
// It is the register allocation of straight code: the steps are walked once, a free slot is taken
// where a value is written or loaded, and given back after the step that reads it last. The slot
// that was given back last is taken first, because it is still in the cache. The steps are
// in an order already, so the number of slots is the largest number of values that live at once.
//
// An input is loaded just before its first use. A value that is an input or an output may lie in
// the caller's own column instead, which spares the copy; a slot is kept for it all the same, for
// callers whose rows are not side by side.
#include "schedule.h"

namespace arenagrad::program {
namespace {

// A value that more lists of operands have than this stays in its slot: a column lies elsewhere for
// each block, so every list that names it has to be written anew.
constexpr std::uint32_t kMostListsOfColumn = 4;

class SlotAllocator {
public:
  SlotAllocator(Schedule& schedule, const Program& program)
      : schedule_(schedule), program_(program), last_use_(program.size(), 0),
        lists_(program.size(), 0), slot_(program.size(), kNone), location_(program.size()),
        output_(program.size(), kNone) {}

  void run() {
    schedule_.column_slots.assign(program_.input_count + program_.outputs.size(), kNone);
    for (std::size_t k = program_.outputs.size(); k-- > 0;)
      output_[program_.outputs[k]] = static_cast<Index>(k);
    find_last_uses();
    std::vector<RowStep> steps;
    steps.reserve(schedule_.rows.size() + program_.input_count);
    for (std::uint32_t t = 0; t < schedule_.rows.size(); ++t) {
      RowStep& step = schedule_.rows[t];
      read_operands(step, t, steps);
      write_results(step, t);
      steps.push_back(step);
    }
    schedule_.rows = std::move(steps);
    find_columns(schedule_.operands, schedule_.columns_in_operands);
    find_columns(schedule_.vectors, schedule_.columns_in_vectors);
  }

private:
  static void find_columns(const std::vector<Location>& locations, std::vector<Index>& columns) {
    for (Index k = 0; k < locations.size(); ++k)
      if (locations[k].kind() == Location::Kind::Column) columns.push_back(k);
  }

  // Calls visit with a reference to the location of each value that a step reads.
  template <class Visit> class Uses {
  public:
    Uses(Schedule& schedule, Visit& visit) : schedule_(schedule), visit_(visit) {}
    void operator()(MapStep& step) {
      look(step.a);
      look(step.b);
      look(step.c);
    }
    void operator()(NaryStep& step) { list(schedule_.operands, step.first, step.count); }
    void operator()(TanhAndPartialStep& step) { look(step.a); }
    void operator()(DenseLayerStep& step) {
      list(schedule_.vectors, step.first + step.results, step.terms);
    }
    void operator()(MatricesStep& step) {
      const Matrices& matrices = schedule_.matrices[step.matrices];
      list(schedule_.operands, matrices.operands, static_cast<Index>(matrices.shape.operands()));
    }
    void operator()(LoadStep&) {}
    void operator()(StoreStep& step) { look(step.a); }
    void operator()(GuardStep& step) { look(step.a); }
    void operator()(CompareStep& step) {
      look(step.a);
      look(step.b);
    }
    void operator()(SuccessStep& step) {
      look(step.a);
      look(step.b);
    }
    void operator()(ClearStep& step) {
      look(step.a);
      look(step.b);
    }
    void operator()(BoundedStep& step) { look(step.a); }
    void operator()(RowSumStep& step) { look(step.a); }
    void operator()(ScaledRowSumStep& step) { look(step.a); }
    void operator()(InnerProductStep& step) {
      look(step.a);
      look(step.b);
    }
    void operator()(InnerProductGridStep& step) {
      list(schedule_.vectors, step.first, step.rows + step.columns);
    }

  private:
    void look(Location& use) {
      if (use.kind() == Location::Kind::Value) visit_(use);
    }
    void list(std::vector<Location>& locations, Index first, Index count) {
      for (Index k = 0; k < count; ++k) look(locations[first + k]);
    }
    Schedule& schedule_;
    Visit& visit_;
  };
  template <class Visit> void for_each_use(RowStep& step, Visit&& visit) {
    step.visit(Uses<std::remove_reference_t<Visit>>(schedule_, visit));
  }

  // The same of each value that it writes.
  template <class Visit> void for_each_result(RowStep& step, Visit&& visit) {
    step.visit([&]<class Step>(Step& at) {
      if constexpr (requires { at.y; } && !std::is_same_v<Step, LoadStep>) visit(at.y);
      if constexpr (requires { at.partial; }) visit(at.partial);
      if constexpr (requires { at.results; })
        for (Index k = 0; k < at.results; ++k) visit(schedule_.vectors[at.first + k]);
      if constexpr (requires { at.matrices; }) {
        const Matrices& matrices = schedule_.matrices[at.matrices];
        for (Index k = 0; k < matrices.needed.size(); ++k)
          visit(schedule_.vectors[matrices.results + k]);
      }
    });
  }

  void find_last_uses() {
    for (std::uint32_t t = 0; t < schedule_.rows.size(); ++t) {
      RowStep& step = schedule_.rows[t];
      const bool has_list = step.kind() == StepKind::Nary || step.kind() == StepKind::DenseLayer ||
                            step.kind() == StepKind::InnerProductGrid ||
                            step.kind() == StepKind::Matrices;
      for_each_use(step, [&](Location use) {
        last_use_[use.index()] = t;
        if (has_list) ++lists_[use.index()];
      });
      for_each_result(step, [&](Location result) { last_use_[result.index()] = t; });
    }
  }

  // Gives a value its location. `column` is that of the input or output which it is, or kNone.
  void define(Index i, Index column) {
    if (free_.empty()) free_.push_back(schedule_.slots++);
    slot_[i] = free_.back();
    location_[i] = Location::slot(slot_[i]);
    free_.pop_back();
    if (column == kNone || lists_[i] > kMostListsOfColumn) return;
    schedule_.column_slots[column] = slot_[i];
    location_[i] = Location::column(column);
  }

  void release(Index i) {
    if (slot_[i] != kNone) free_.push_back(slot_[i]);
    slot_[i] = kNone;
  }

  // Puts locations for the values that step t reads. An input that has none yet is loaded.
  void read_operands(RowStep& step, std::uint32_t t, std::vector<RowStep>& steps) {
    last_read_.clear();
    for_each_use(step, [&](Location& use) {
      const Index i = use.index();
      if (location_[i].kind() == Location::Kind::None) [[unlikely]] {
        const Index input = program_.instructions[i].a;
        define(i, input);
        steps.emplace_back(LoadStep{.y = location_[i], .input = input});
      }
      if (last_use_[i] == t) last_read_.push_back(i);
      use = location_[i];
    });
  }

  void write_results(RowStep& step, std::uint32_t t) {
    // A map may write over its operands, whose slots are therefore free before its result takes
    // one. The others write a result before they have read all operands.
    const bool in_place = step.kind() == StepKind::Map;
    const auto write = [&](Location& result) { define_result(result, t); };
    if (!in_place) for_each_result(step, write);
    for (const Index i : last_read_) release(i);
    if (in_place) for_each_result(step, write);
    for (const Index i : unread_) release(i);
    unread_.clear();
  }

  void define_result(Location& result, std::uint32_t t) {
    const Index i = result.index();
    define(i, output_[i] == kNone ? kNone : program_.input_count + output_[i]);
    if (last_use_[i] == t) unread_.push_back(i);
    result = location_[i];
  }

  Schedule& schedule_;
  const Program& program_;
  // By value:
  std::vector<std::uint32_t> last_use_; // the step that reads it last, or writes it for its check
  std::vector<std::uint32_t> lists_;    // how many lists of operands have it
  std::vector<Index> slot_;             // while it lives, else kNone
  std::vector<Location> location_;
  std::vector<Index> output_;             // the first output that it is, or kNone
  std::vector<Index> free_;               // slots
  std::vector<Index> last_read_, unread_; // values that die with the step at hand
};

} // namespace

void allocate_slots(Schedule& schedule, const Program& program) {
  SlotAllocator(schedule, program).run();
}

} // namespace arenagrad::program
