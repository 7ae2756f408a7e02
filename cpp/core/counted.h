// A block during which a count is one higher: while any such block lasts, the count is not zero.
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
