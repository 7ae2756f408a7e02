#include "dump.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <sstream>

namespace arenagrad::program {
namespace {

void say(const std::string& text) { std::fputs(text.c_str(), stderr); }

std::string read_variable() {
  const char* value = std::getenv("ARENAGRAD_DUMP"); // NOLINT(concurrency-mt-unsafe): read once
  std::string wanted = value == nullptr ? "" : value;
  if (wanted.empty() || names_any_pass(wanted)) return wanted;
  std::ostringstream text;
  text << "arenagrad: ARENAGRAD_DUMP=" << wanted << " names no pass; there are";
  for (const Pass& pass : kPasses) text << ' ' << pass.name;
  say(text.str() + ", and all\n");
  return "";
}

void write_titled(std::ostream& out, const char* when, const Pass& pass, const Program& program) {
  out << "--- " << when << ' ' << pass.name << ": " << program.size() << " instructions\n"
      << program.text();
}

} // namespace

bool names_pass(std::string_view wanted, const Pass& pass) {
  return wanted == "all" || wanted == pass.name;
}

bool names_any_pass(std::string_view wanted) {
  return std::ranges::any_of(kPasses, [=](const Pass& pass) { return names_pass(wanted, pass); });
}

bool is_dumped(const Pass& pass) {
  static const auto& wanted = *new std::string(read_variable()); // threads may outlive exit()
  return !wanted.empty() && names_pass(wanted, pass);
}

std::string dump_text(const Pass& pass, const Program& before, const Program& after) {
  std::ostringstream out;
  write_titled(out, "before", pass, before);
  write_titled(out, "after", pass, after);
  return out.str();
}

void dump(const Pass& pass, const Program& before, const Program& after) {
  say(dump_text(pass, before, after));
}

} // namespace arenagrad::program
