// Dropping Python references where no code of the user's may run, such as while nodes are
// reclaimed, or without the GIL: what holds them is put on a list, which the main thread clears
// when it next looks for signals, and everybody who adds to Python's side of it may.
//
// release_later() may be called from any thread, with or without the GIL, and allocates nothing.
#pragma once

namespace arenagrad::bindings {

// What holds references; destroyed with the GIL.
class Releasable {
public:
  virtual ~Releasable() = default;

protected:
  Releasable() = default;
  Releasable(const Releasable&) = default;
  Releasable& operator=(const Releasable&) = default;

private:
  friend void release_later(Releasable* object) noexcept;
  friend void release_now();
  Releasable* next_ = nullptr;
};

// Destroys it later; takes it over.
void release_later(Releasable* object) noexcept;
// Destroys what has been left so far. Needs the GIL; runs code of the user's.
void release_now();

} // namespace arenagrad::bindings
