// Numbers as bytes, the lowest first, and back, from bytes that anybody may have written. Pure.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "errors.h"

namespace arenagrad::core {

inline constexpr auto kCrcTable = [] {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t c = i;
    for (int k = 0; k < 8; ++k) c = c & 1 ? c >> 1 ^ 0xEDB88320u : c >> 1;
    table[i] = c;
  }
  return table;
}();

// The checksum of zip and PNG.
inline std::uint32_t crc32(std::string_view bytes) {
  std::uint32_t c = 0xFFFFFFFFu;
  for (const char byte : bytes)
    c = kCrcTable[(c ^ static_cast<std::uint8_t>(byte)) & 0xFF] ^ c >> 8;
  return ~c;
}

// Bytes are shifted and not copied: compilers make one move of it where the order is right.
template <class T> void put(std::string& out, T number) {
  char bytes[sizeof(T)];
  for (std::size_t i = 0; i < sizeof(T); ++i) bytes[i] = static_cast<char>(number >> 8 * i);
  out.append(bytes, sizeof(T));
}
inline void put(std::string& out, double number) { put(out, std::bit_cast<std::uint64_t>(number)); }

// A text that any reader of a message can show.
inline std::string printable(std::string_view text) {
  std::string out(text);
  std::replace_if(out.begin(), out.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
  return out;
}

// Takes numbers from bytes, in order. Throws FormatError, which calls them `what`, at their end.
class ByteReader {
public:
  // Requires that bytes and `what` live as long.
  ByteReader(std::string_view bytes, const char* what) : rest_(bytes), what_(what) {}

  std::size_t left() const { return rest_.size(); }
  // Throws unless `count` items of so many bytes are there: before memory is asked for them.
  void need(std::size_t count, std::size_t bytes) const {
    if (count > rest_.size() / bytes) throw FormatError(std::string(what_) + " is cut short");
  }
  std::string_view text(std::size_t length) {
    need(length, 1);
    const std::string_view out = rest_.substr(0, length);
    rest_.remove_prefix(length);
    return out;
  }
  template <class T> T take() {
    T number = 0;
    const std::string_view bytes = text(sizeof(T));
    for (std::size_t i = 0; i < sizeof(T); ++i)
      number = static_cast<T>(number | T{static_cast<std::uint8_t>(bytes[i])} << 8 * i);
    return number;
  }
  void take(std::vector<double>& out, std::size_t count) {
    need(count, sizeof(double));
    out.resize(count);
    for (double& number : out) number = std::bit_cast<double>(take<std::uint64_t>());
  }
  template <class T> void take(std::vector<T>& out, std::size_t count) {
    need(count, sizeof(T));
    out.resize(count);
    for (T& number : out) number = take<T>();
  }

private:
  std::string_view rest_;
  const char* what_;
};

// The bytes between `magic` with its version and the checksum of everything. Throws FormatError if
// the magic, the version or the checksum is wrong.
inline std::string_view checked_body(std::string_view bytes, std::string_view magic,
                                     std::uint16_t version, const char* what) {
  const std::size_t head = magic.size() + sizeof version;
  constexpr std::size_t kTail = sizeof(std::uint32_t);
  const std::string name = what;
  if (bytes.size() < head || bytes.substr(0, magic.size()) != magic)
    throw FormatError("this is not " + name);
  if (const auto found = ByteReader(bytes.substr(magic.size()), what).take<std::uint16_t>();
      found != version)
    throw FormatError(name + " has the format " + std::to_string(found) +
                      ", and this version reads " + std::to_string(version));
  if (bytes.size() < head + kTail ||
      ByteReader(bytes.substr(bytes.size() - kTail), what).take<std::uint32_t>() !=
          crc32(bytes.substr(0, bytes.size() - kTail)))
    throw FormatError(name + " is cut short or damaged: its checksum is wrong");
  return bytes.substr(head, bytes.size() - head - kTail);
}

} // namespace arenagrad::core
