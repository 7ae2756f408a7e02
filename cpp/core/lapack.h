// The functions of BLAS and LAPACK, as pointers that whoever has them sets (bindings/functions:
// those that SciPy exports). Without them program/ir/matrix.h computes with plain loops.
//
// Set once, all together, before any program that has matrices exists; read from any thread.
#pragma once

namespace arenagrad::core {

struct Lapack {
  using Potrf = void (*)(char* uplo, int* n, double* a, int* lda, int* info);
  using Getrf = void (*)(int* m, int* n, double* a, int* lda, int* pivots, int* info);
  using Getrs = void (*)(char* trans, int* n, int* columns, double* a, int* lda, int* pivots,
                         double* b, int* ldb, int* info);
  using Trsm = void (*)(char* side, char* uplo, char* trans, char* diag, int* m, int* n,
                        double* alpha, double* a, int* lda, double* b, int* ldb);
  using Trsv = void (*)(char* uplo, char* trans, char* diag, int* n, double* a, int* lda, double* x,
                        int* step);
  using Gemm = void (*)(char* trans_a, char* trans_b, int* m, int* n, int* k, double* alpha,
                        double* a, int* lda, double* b, int* ldb, double* beta, double* c,
                        int* ldc);

  Potrf potrf = nullptr;
  Getrf getrf = nullptr;
  Getrs getrs = nullptr;
  Trsm trsm = nullptr;
  Trsv trsv = nullptr;
  Gemm gemm = nullptr;

  bool is_loaded() const { return potrf != nullptr; }
};
inline Lapack lapack;

} // namespace arenagrad::core
