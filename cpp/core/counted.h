// A count of the scopes that are under way, such as those in which no node may move: each raises it
// on entry and lowers it on exit, however it ends. The count lives elsewhere and outlives the
// scopes.
#pragma once

namespace arenagrad::core {

class Counted {
public:
  explicit Counted(int& count) : count_(count) { ++count_; }
  ~Counted() { --count_; }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;

private:
  int& count_;
};

} // namespace arenagrad::core
