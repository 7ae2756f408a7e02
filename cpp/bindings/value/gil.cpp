// Where a thread that Python ends stops: at the first frame of ours that unwinding comes to.
#include "gil.h"

#include <unistd.h>

#ifdef ARENAGRAD_WRAPS_PERSONALITY
#include <unwind.h>
#endif

namespace arenagrad::bindings {

void stop_thread() {
  for (;;) pause();
}

} // namespace arenagrad::bindings

#ifdef ARENAGRAD_WRAPS_PERSONALITY

// The unwinder asks a function of the compiler's, the "personality", what each frame wants done;
// the linker's --wrap puts this one before it for the frames of this module. A forced unwind that
// comes here has passed frames of Python alone, which have nothing to undo, so all is still as it
// was when the thread was to end. NOLINTBEGIN(bugprone-reserved-identifier): the linker makes these
// names from the wrapped one.
extern "C" {
_Unwind_Reason_Code __real___gxx_personality_v0(int, _Unwind_Action, _Unwind_Exception_Class,
                                                _Unwind_Exception*, _Unwind_Context*);

[[gnu::used]] _Unwind_Reason_Code __wrap___gxx_personality_v0(int version, _Unwind_Action actions,
                                                              _Unwind_Exception_Class kind,
                                                              _Unwind_Exception* exception,
                                                              _Unwind_Context* context) {
  if ((actions & _UA_FORCE_UNWIND) != 0 && arenagrad::bindings::interpreter_exits())
    arenagrad::bindings::stop_thread();
  return __real___gxx_personality_v0(version, actions, kind, exception, context);
}
}
// NOLINTEND(bugprone-reserved-identifier)

#endif
