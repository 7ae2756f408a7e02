// The list of passes, what each does alone, what is said of it, and the facts that passes ask for.
#include <doctest/doctest.h>

#include <set>
#include <string>

#include "program/ir/analysis.h"
#include "program/ir/program_format.h"
#include "program/passes/builder.h"
#include "program/passes/dump.h"
#include "program_cases.h"

using namespace arenagrad::program;

namespace {

const Pass& pass_named(std::string_view name) {
  for (const Pass& pass : kPasses)
    if (pass.name == name) return pass;
  throw std::invalid_argument("no such pass");
}

std::size_t count(const Program& program, Opcode opcode) {
  std::size_t n = 0;
  for (const Instruction& at : program.instructions) n += at.opcode == opcode;
  return n;
}

// Has work for every pass: 2 * 3 + x * 1 + x ** 2 + x * y + x * y, and what nothing needs.
Program untidy() {
  Builder builder(Passes::none());
  const Index x = builder.input(), y = builder.input();
  const Index six = builder.emit(Opcode::Mul, builder.constant(2.0), builder.constant(3.0));
  Index sum = builder.emit(Opcode::Add, six, builder.emit(Opcode::Mul, x, builder.constant(1.0)));
  sum = builder.emit(Opcode::Add, sum, builder.emit(Opcode::Pow, x, builder.constant(2.0)));
  for (int turn = 0; turn < 2; ++turn)
    sum = builder.emit(Opcode::Add, sum, builder.emit(Opcode::Mul, x, y));
  builder.emit(Opcode::Exp, sum);
  builder.output(sum);
  return builder.finish();
}

Program after(std::string_view name) {
  Passes passes = Passes::none();
  passes.*pass_named(name).enabled = true;
  return pass_named(name).run(untidy(), passes);
}

} // namespace

TEST_CASE("no pass at all writes the program as it is, guards on constants included") {
  Builder builder(Passes::none());
  const Index one = builder.constant(1.0), again = builder.constant(1.0);
  builder.output(builder.emit(Opcode::Mul, one, again));
  builder.guard(one, true);
  const Program plain = builder.finish();
  CHECK(optimise(plain, Passes::none()).text() == plain.text());
  CHECK(optimise(untidy(), Passes::none()).text() == untidy().text());
  for (const Pass& pass : kPasses) {
    CHECK(Passes{}.*pass.enabled);
    CHECK_FALSE(Passes::none().*pass.enabled);
  }
}

TEST_CASE("every pass has a name of its own, and alone does what it says") {
  std::set<std::string_view> names;
  for (const Pass& pass : kPasses) {
    CHECK(names.insert(pass.name).second);
    CHECK(std::string_view(pass.purpose).size() > 10);
    const std::vector<double> x{1.75, -0.5};
    CHECK(cases::run(after(pass.name), x)[0] == doctest::Approx(cases::run(untidy(), x)[0]));
    CHECK(after(pass.name).text() != untidy().text());
  }
  CHECK(count(untidy(), Opcode::Mul) == 4);
  CHECK(count(after("fold"), Opcode::Mul) == 3);
  CHECK(count(after("common_subexpressions"), Opcode::Mul) == 3);
  CHECK(count(after("peephole"), Opcode::Mul) == 3);
  CHECK(count(after("reorder"), Opcode::Pow) == 0);
  CHECK(count(after("prune"), Opcode::Exp) == 0);
  CHECK(count(untidy(), Opcode::Add) == 4);
  CHECK(count(after("fuse"), Opcode::Add) == 1); // in order: the power stands between products
}

TEST_CASE("a guard on a constant is dropped if it holds, and kept if it never can") {
  Builder builder(Passes{});
  builder.guard(builder.constant(1.0), true);
  builder.guard(builder.constant(0.0), true);
  const Program program = builder.finish();
  REQUIRE(program.guards.size() == 1);
  CHECK(program.constants[program.instructions[program.guards[0].condition].a] == 0.0);
}

TEST_CASE("a dump names its pass and shows both programs") {
  const Pass& fuse = pass_named("fuse");
  const Program program = untidy(), fused = fuse.run(program, Passes{});
  const std::string text = dump_text(fuse, program, fused);
  CHECK(text == "--- before fuse: " + std::to_string(program.size()) + " instructions\n" +
                    program.text() + "--- after fuse: " + std::to_string(fused.size()) +
                    " instructions\n" + fused.text());
  CHECK(names_pass("fuse", fuse));
  CHECK(names_pass("all", fuse));
  CHECK_FALSE(names_pass("prune", fuse));
  CHECK_FALSE(names_pass("", fuse));
  CHECK(names_any_pass("peephole"));
  CHECK_FALSE(names_any_pass("fus"));
}

TEST_CASE("facts of a program are those of what is reached, found by hand") {
  Builder builder(Passes::none());
  const Index x = builder.input(), unused = builder.input(), w = builder.input();
  const Index product = builder.emit(Opcode::Mul, x, w);
  const Index dead = builder.emit(Opcode::Sin, product);
  const Index checked = builder.emit(Opcode::Log, w, kNone, kNone, true);
  const Index total = builder.emit(Opcode::RowSum, product);
  const Index condition = builder.emit(Opcode::Less, w, total);
  builder.output(builder.emit_many(Opcode::SumN, {product, product}));
  builder.guard(condition, true);
  const Program program = builder.finish();
  const Index sum = program.outputs[0];

  const Marks is_needed = needed(program);
  CHECK(is_needed == Marks{1, 0, 1, 1, 0, 1, 1, 1, 1});
  CHECK(is_needed[unused] + is_needed[dead] == 0);
  CHECK(is_needed[checked] == 1);

  const std::vector<Index> uses = count_uses(program), live = count_uses(program, &is_needed);
  CHECK(uses[product] == 4); // by dead too
  CHECK(live[product] == 3);
  CHECK(uses[sum] == 1);
  CHECK(live[condition] == 1);

  Marks dependents(program.size(), 0);
  dependents[x] = 1;
  mark_dependents(program, dependents);
  CHECK(dependents == Marks{1, 0, 0, 1, 1, 0, 1, 1, 1});
  CHECK(varying(program, {1, 0, 0}) == Marks{1, 0, 0, 1, 1, 0, 0, 0, 1}); // but for sums over rows
}
