# Enables C++, or stops with the name of the package to install: CMake's own message names no package,
# and pip shows it to people who did not know that anything would be compiled.

set(ARENAGRAD_INSTALL_COMPILER
    "Install one, and run the same command again:
  Debian, Ubuntu   sudo apt install g++ python3-dev
  Fedora, RHEL     sudo dnf install gcc-c++ python3-devel
  Alpine           sudo apk add g++ python3-dev
  macOS            xcode-select --install
  Windows          not supported yet: use WSL, and the packages of its Linux
The environment variable CXX chooses among several compilers.")

if(NOT CMAKE_CXX_COMPILER)
  include(CheckLanguage)
  check_language(CXX)
  set(found ${CMAKE_CXX_COMPILER})
  # Searched for again below, since a CXX with arguments is only kept in part; and by the next run in
  # this folder, when a compiler may have been installed.
  unset(CMAKE_CXX_COMPILER)
  unset(CMAKE_CXX_COMPILER CACHE)
  if(NOT found)
    set(reason "none was found")
    if(DEFINED ENV{CXX})
      set(reason "the one that CXX names, \"$ENV{CXX}\", does not work")
    endif()
    message(FATAL_ERROR "arenagrad needs a C++20 compiler, and ${reason}. ${ARENAGRAD_INSTALL_COMPILER}")
  endif()
endif()
enable_language(CXX)

# The dialect alone says too little: the first compilers that accept it lack parts of the library.
set(ARENAGRAD_CXX20 FALSE)
if(cxx_std_20 IN_LIST CMAKE_CXX_COMPILE_FEATURES)
  include(CheckCXXSourceCompiles)
  set(CMAKE_CXX_STANDARD 20)
  check_cxx_source_compiles(
    "#include <bit>
     #include <cstdint>
     #include <span>
     int main() {
       const double numbers[] = {1.0, 2.0};
       return std::bit_cast<std::uint64_t>(std::span(numbers)[0]) != 0 ? 0 : 1;
     }"
    ARENAGRAD_CXX20_COMPILES)
  set(ARENAGRAD_CXX20 ${ARENAGRAD_CXX20_COMPILES})
endif()
if(NOT ARENAGRAD_CXX20)
  unset(ARENAGRAD_CXX20_COMPILES CACHE)
  message(
    FATAL_ERROR
      "arenagrad needs a C++20 compiler, such as GCC 11, Clang 14, Xcode 14 or later; this is "
      "${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION} (${CMAKE_CXX_COMPILER}). "
      "${ARENAGRAD_INSTALL_COMPILER}")
endif()
