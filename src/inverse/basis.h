/* Orthonormal bases that diagonalise operators, in double: real Fourier, cosines, and eigenvectors
 * of small dense matrices. */
#ifndef INVERSE_BASIS_H
#define INVERSE_BASIS_H

#include <stdint.h>

#include "tweedie/status.h"

typedef struct tw_complex {
    double re, im;
} tw_complex;

/* The unitary Fourier transform of an image of H × W numbers, of any sizes. One thread at a time
 * uses one. */
typedef struct tw_fourier tw_fourier;
tw_status tw_fourier_create(tw_fourier **out, int64_t height, int64_t width);
void tw_fourier_destroy(tw_fourier **f);

/* Modes (ky, kx) of x [H][W] with elements `stride` apart: modes [H][W]. */
void tw_fourier_forward(tw_fourier *f, const double *x, int64_t stride, tw_complex *modes);
/* The real part of the way back. `modes` is overwritten. */
void tw_fourier_backward(tw_fourier *f, tw_complex *modes, double *x, int64_t stride);

/* Mode (−ky, −kx) of mode i = ky W + kx. */
int64_t tw_fourier_partner(int64_t height, int64_t width, int64_t i);

/* Real coefficients of modes of a real image, orthonormal: Re of a mode that is its own partner,
 * else √2 Re at the first and √2 Im at the second of a pair; and back. */
void tw_fourier_pack(int64_t height, int64_t width, const tw_complex *modes, double *c,
                     int64_t stride);
void tw_fourier_unpack(int64_t height, int64_t width, const double *c, int64_t stride,
                       tw_complex *modes);

/* c = C x, C the orthonormal cosine transform (DCT-II) of n numbers: C [n][n]. */
void tw_cosine_matrix(int64_t n, double *matrix);

/* Eigenvalues, ascending, and eigenvectors of a symmetric matrix: a [n][n] becomes the eigenvectors
 * in its columns. Householder's tridiagonal form, then QL with implicit shifts.
 * @return TW_EDIVERGED for numbers that are not finite */
tw_status tw_eigen(int64_t n, double *a, double *values);

/* The Cholesky factor L of a symmetric positive definite matrix in its lower triangle, and the
 * solution of L Lᵀ x = b in place. @return TW_EDATA where the matrix is not positive definite */
tw_status tw_cholesky(int64_t n, double *a);
void tw_cholesky_solve(int64_t n, const double *l, double *x);

#endif
