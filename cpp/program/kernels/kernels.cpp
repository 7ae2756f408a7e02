#include "kernels.h"

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "instruction_sets.h"

namespace arenagrad::program {

double evaluate_one(Opcode opcode, double a, double b, double c) {
  return evaluate(opcode, a, b, c);
}

namespace {

// The loops of strict tables, and of whatever an instruction set has nothing better for.

template <Opcode kOpcode>
void map_plain(double* y, Strided a, Strided b, Strided c, std::size_t n) {
  constexpr std::size_t kOperands = operand_count(kOpcode);
  for (std::size_t i = 0; i < n; ++i) {
    const double of_b = kOperands > 1 ? b.at[i * b.step] : 0.0;
    const double of_c = kOperands > 2 ? c.at[i * c.step] : 0.0;
    y[i] = evaluate(kOpcode, a.at[i * a.step], of_b, of_c);
  }
}

void sum_plain(double* y, const Strided* operands, std::size_t count, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) {
    double total = operands[0].at[i * operands[0].step];
    for (std::size_t k = 1; k < count; ++k) total += operands[k].at[i * operands[k].step];
    y[i] = total;
  }
}

void dot_plain(double* y, const Strided* operands, std::size_t count, std::size_t n) {
  const auto dot = core::dot_view(std::size_t{0}, count);
  for (std::size_t i = 0; i < n; ++i) {
    const auto at = [=](std::size_t k) { return operands[k].at[i * operands[k].step]; };
    double total = dot.has_start() ? at(dot.start) : 0.0;
    for (std::size_t k = 0; k < dot.terms; ++k) total += at(dot.w + k) * at(dot.x + k);
    y[i] = total;
  }
}

double total_plain(const double* a, std::size_t n) {
  double total = n == 0 ? 0.0 : a[0];
  for (std::size_t i = 1; i < n; ++i) total += a[i];
  return total;
}

double inner_plain(const double* a, const double* b, std::size_t n) {
  double total = 0.0;
  for (std::size_t i = 0; i < n; ++i) total += a[i] * b[i];
  return total;
}

void tanh_and_partial_plain(double* y, double* partial, const double* a, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) {
    const double x = a[i];
    y[i] = core::tanh(x);
    partial[i] = core::tanh_partial(x, y[i]);
  }
}

void matrix_vector_plain(double* y, const double* m, std::size_t row_step, std::size_t column_step,
                         const double* x, std::size_t x_step, std::size_t rows, std::size_t columns,
                         const double* start) {
  for (std::size_t r = 0; r < rows; ++r) {
    double total = start != nullptr ? start[r] : 0.0;
    for (std::size_t k = 0; k < columns; ++k)
      total += m[r * row_step + k * column_step] * x[k * x_step];
    y[r] = total;
  }
}

void outer_plain(double* y, const double* a, const double* b, std::size_t rows,
                 std::size_t columns) {
  for (std::size_t r = 0; r < rows; ++r)
    for (std::size_t c = 0; c < columns; ++c) y[r * columns + c] = a[r] * b[c];
}

// One addition a number and no branch: 0 times a number that is not finite is nan.
bool finite_plain(const double* a, std::size_t n) {
  double zeros = 0.0; // nan as soon as one is not finite
  for (std::size_t i = 0; i < n; ++i) zeros += a[i] * 0.0;
  return zeros == 0.0;
}

template <std::size_t... kIndex> void use_plain(Kernels& table, std::index_sequence<kIndex...>) {
  constexpr std::size_t kFirst = kFirstTableOpcode;
  ((table.map[kIndex + kFirst] = map_plain<static_cast<Opcode>(kIndex + kFirst)>), ...);
}

using Use = void (*)(Kernels& table, bool strict);

// An instruction set: runs() asks the processor for all that the file's compiler options allow.
struct Set {
  const char* name;
  Use use;
  bool (*runs)();
};

// From the plainest to the best; a processor that runs one runs those before it.
constexpr Set kSets[] = {
    {"portable", use_portable, [] { return true; }},
#if defined(__x86_64__)
    {"avx2", use_avx2,
     [] { return __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0; }},
    {"avx512", use_avx512,
     [] {
       return __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512dq") != 0 &&
              __builtin_cpu_supports("avx512vl") != 0 && __builtin_cpu_supports("fma") != 0;
     }},
#endif
};
constexpr std::size_t kSetCount = sizeof(kSets) / sizeof(kSets[0]);

struct Tables {
  Kernels of[kSetCount][2] = {}; // by set, then by strictness

  // Sets that the processor lacks stay empty: even the function that enters their loops is compiled
  // for them.
  Tables() {
    for (std::size_t set = 0; set < kSetCount; ++set)
      for (const bool strict : {false, true}) {
        if (!kSets[set].runs()) continue;
        Kernels& table = of[set][strict ? 1 : 0];
        table.name = kSets[set].name;
        use_plain(
            table,
            std::make_index_sequence<static_cast<std::size_t>(Opcode::SumN) - kFirstTableOpcode>());
        table.sum = sum_plain;
        table.dot = dot_plain;
        table.total = total_plain;
        table.inner = inner_plain;
        table.tanh_and_partial = tanh_and_partial_plain;
        table.matrix_vector = matrix_vector_plain;
        table.outer = outer_plain;
        table.finite = finite_plain;
        kSets[set].use(table, strict);
      }
  }
};

// Made at the first use, once for all threads.
const Tables& tables() {
  static const Tables kTables;
  return kTables;
}

// The set that the environment asks for, or the best below it that runs here; of an unknown name,
// the best of all.
std::size_t choose() {
  const char* name = std::getenv("ARENAGRAD_KERNELS"); // NOLINT(concurrency-mt-unsafe)
  std::size_t best = kSetCount - 1;
  for (std::size_t set = 0; name != nullptr && set < kSetCount; ++set)
    if (std::strcmp(name, kSets[set].name) == 0) best = set;
  while (!kSets[best].runs()) --best;
  return best;
}

} // namespace

const Kernels& kernels(bool strict) {
  static const std::size_t kChosen = choose();
  return tables().of[kChosen][strict ? 1 : 0];
}

const Kernels* kernels_named(const char* name, bool strict) {
  for (std::size_t set = 0; set < kSetCount; ++set)
    if (std::strcmp(name, kSets[set].name) == 0 && kSets[set].runs())
      return &tables().of[set][strict ? 1 : 0];
  return nullptr;
}

} // namespace arenagrad::program
