#include "release_later.h"

#include <Python.h>

#include <atomic>
#include <memory>

#include "gil.h"

namespace arenagrad::bindings {
namespace {

std::atomic<Releasable*> left_to_release = nullptr;

} // namespace

void release_later(Releasable* object) noexcept {
  Releasable* const before = left_to_release.load();
  object->next_ = before;
  while (!left_to_release.compare_exchange_weak(object->next_, object)) {
  }
  // The list of such calls may be full: then the next object brings this one along.
  if (!interpreter_exits()) Py_AddPendingCall([](void*) { return release_now(), 0; }, nullptr);
}

void release_now() {
  for (Releasable* object = left_to_release.exchange(nullptr); object != nullptr;) {
    const std::unique_ptr<Releasable> gone(object);
    object = object->next_;
  }
}

} // namespace arenagrad::bindings
