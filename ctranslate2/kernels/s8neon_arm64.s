#include "textflag.h"

// Vector instructions that the assembler has no names for, on four words each
// unless said otherwise: d = n op m by the numbers of the registers.
#define SDOT(m, n, d) WORD $(0x4E809400 | (m)<<16 | (n)<<5 | (d)) // d += products of four signed bytes
#define SMULL(m, n, d) WORD $(0x0E20C000 | (m)<<16 | (n)<<5 | (d)) // halfwords of the lower eight bytes
#define SMULL2(m, n, d) WORD $(0x4E20C000 | (m)<<16 | (n)<<5 | (d)) // of the upper eight
#define SADALP(n, d) WORD $(0x4E606800 | (n)<<5 | (d)) // d += pairs of halfwords
#define FABS(n, d) WORD $(0x4EA0F800 | (n)<<5 | (d))
#define FMAXNM(m, n, d) WORD $(0x4E20C400 | (m)<<16 | (n)<<5 | (d)) // the number if the other is none
#define FMAXNMV(n, d) WORD $(0x6E30C800 | (n)<<5 | (d))
#define FCVTNS(n, d) WORD $(0x4E21A800 | (n)<<5 | (d)) // to the nearest even
#define FCVTZS(n, d) WORD $(0x4EA1B800 | (n)<<5 | (d)) // towards zero
#define SQXTUN(n, d) WORD $(0x2E612800 | (n)<<5 | (d)) // saturated to unsigned halfwords
#define SQXTUN2(n, d) WORD $(0x6E612800 | (n)<<5 | (d)) // as the upper four
#define UQXTN(n, d) WORD $(0x2E214800 | (n)<<5 | (d)) // eight halfwords to bytes
#define SCVTF(n, d) WORD $(0x4E21D800 | (n)<<5 | (d))
#define FMUL(m, n, d) WORD $(0x6E20DC00 | (m)<<16 | (n)<<5 | (d))
#define FDIV(m, n, d) WORD $(0x6E20FC00 | (m)<<16 | (n)<<5 | (d))
#define FADD(m, n, d) WORD $(0x4E20D400 | (m)<<16 | (n)<<5 | (d))
#define NEGATIVE(n, d) WORD $(0x4EA0E800 | (n)<<5 | (d)) // ones where n < 0
#define BIC(m, n, d) WORD $(0x4E601C00 | (m)<<16 | (n)<<5 | (d)) // n without the bits of m

// Sixteen bytes of zeros and sixteen of ones.
DATA neonByteMasks<>+0(SB)/8, $0
DATA neonByteMasks<>+8(SB)/8, $0
DATA neonByteMasks<>+16(SB)/8, $-1
DATA neonByteMasks<>+24(SB)/8, $-1
GLOBL neonByteMasks<>(SB), RODATA|NOPTR, $32

// The activations of a register, less 128: signed.
#define SIGN(a) VEOR V31.B16, a.B16, a.B16

// The lanes of four accumulators summed, in a.
#define SUMS4(a, b, c, d) \
	VADDP b.S4, a.S4, a.S4 \
	VADDP d.S4, c.S4, c.S4 \
	VADDP c.S4, a.S4, a.S4

// A row of activations times four of weights in V20 to V23.
#define DOTS(a, c0, c1, c2, c3) \
	SDOT(20, a, c0) \
	SDOT(21, a, c1) \
	SDOT(22, a, c2) \
	SDOT(23, a, c3)

// DOTS by way of halfwords, which hold any product of two bytes but not two.
#define MUL(m, n, d) \
	SMULL(m, n, 24)  \
	SMULL2(m, n, 25) \
	SADALP(24, d)    \
	SADALP(25, d)
#define MULS(a, c0, c1, c2, c3) \
	MUL(20, a, c0) \
	MUL(21, a, c1) \
	MUL(22, a, c2) \
	MUL(23, a, c3)

// The products of a row of activations and four of weights, 16 bytes at a time
// by DOTS; at the end once more, from 16 bytes before it.
#define ROW(DOTS) \
	MOVD a+0(FP), R0              \
	MOVD b+8(FP), R4              \
	MOVD ldb+16(FP), R5           \
	MOVD k+24(FP), R8             \
	MOVD c+32(FP), R9             \
	ADD  R4, R5, R14              \
	ADD  R14, R5, R15             \
	ADD  R15, R5, R16             \
	VMOVI $128, V31.B16           \
	VEOR V0.B16, V0.B16, V0.B16   \
	VEOR V1.B16, V1.B16, V1.B16   \
	VEOR V2.B16, V2.B16, V2.B16   \
	VEOR V3.B16, V3.B16, V3.B16   \
	LSR  $4, R8, R17              \
	AND  $15, R8, R8              \
loop:                                \
	VLD1.P 16(R0), [V16.B16]      \
	VLD1.P 16(R4), [V20.B16]      \
	VLD1.P 16(R14), [V21.B16]     \
	VLD1.P 16(R15), [V22.B16]     \
	VLD1.P 16(R16), [V23.B16]     \
multiply:                            \
	SIGN(V16)                     \
	DOTS(16, 0, 1, 2, 3)          \
	SUB  $1, R17, R17             \
	CMP  $0, R17                  \
	BGT  loop                     \
	CBZ  R8, done                 \
	MOVD $neonByteMasks<>(SB), R19 \
	ADD  R8, R19, R19             \
	VLD1 (R19), [V24.B16]         \
	SUB  $16, R8, R8              \
	ADD  R8, R0, R0               \
	ADD  R8, R4, R4               \
	ADD  R8, R14, R14             \
	ADD  R8, R15, R15             \
	ADD  R8, R16, R16             \
	VLD1 (R0), [V16.B16]          \
	VLD1 (R4), [V20.B16]          \
	VLD1 (R14), [V21.B16]         \
	VLD1 (R15), [V22.B16]         \
	VLD1 (R16), [V23.B16]         \
	VAND V24.B16, V20.B16, V20.B16 \
	VAND V24.B16, V21.B16, V21.B16 \
	VAND V24.B16, V22.B16, V22.B16 \
	VAND V24.B16, V23.B16, V23.B16 \
	MOVD ZR, R8                   \
	B    multiply                 \
done:                                \
	SUMS4(V0, V1, V2, V3)         \
	VST1 [V0.S4], (R9)            \
	RET

// func neonDotS8_4x4(a *uint8, lda int, b *int8, ldb int, k int, c *int32, ldc int)
// c[i][j] = Σ (a[i][k]-128)·b[j][k] for 4 rows each; k at least 16. The last
// bytes are read again with those before them, which a mask clears.
TEXT ·neonDotS8_4x4(SB), NOSPLIT, $0-56
	MOVD a+0(FP), R0
	MOVD lda+8(FP), R1
	MOVD b+16(FP), R4
	MOVD ldb+24(FP), R5
	MOVD k+32(FP), R8
	MOVD c+40(FP), R9
	MOVD ldc+48(FP), R10
	ADD  R0, R1, R11
	ADD  R11, R1, R12
	ADD  R12, R1, R13
	ADD  R4, R5, R14
	ADD  R14, R5, R15
	ADD  R15, R5, R16
	VMOVI $128, V31.B16
	VEOR V0.B16, V0.B16, V0.B16
	VEOR V1.B16, V1.B16, V1.B16
	VEOR V2.B16, V2.B16, V2.B16
	VEOR V3.B16, V3.B16, V3.B16
	VEOR V4.B16, V4.B16, V4.B16
	VEOR V5.B16, V5.B16, V5.B16
	VEOR V6.B16, V6.B16, V6.B16
	VEOR V7.B16, V7.B16, V7.B16
	VEOR V8.B16, V8.B16, V8.B16
	VEOR V9.B16, V9.B16, V9.B16
	VEOR V10.B16, V10.B16, V10.B16
	VEOR V11.B16, V11.B16, V11.B16
	VEOR V12.B16, V12.B16, V12.B16
	VEOR V13.B16, V13.B16, V13.B16
	VEOR V14.B16, V14.B16, V14.B16
	VEOR V15.B16, V15.B16, V15.B16
	LSR  $4, R8, R17
	AND  $15, R8, R8

loop:
	VLD1.P 16(R0), [V16.B16]
	VLD1.P 16(R11), [V17.B16]
	VLD1.P 16(R12), [V18.B16]
	VLD1.P 16(R13), [V19.B16]
	VLD1.P 16(R4), [V20.B16]
	VLD1.P 16(R14), [V21.B16]
	VLD1.P 16(R15), [V22.B16]
	VLD1.P 16(R16), [V23.B16]

multiply:
	SIGN(V16)
	SIGN(V17)
	SIGN(V18)
	SIGN(V19)
	DOTS(16, 0, 1, 2, 3)
	DOTS(17, 4, 5, 6, 7)
	DOTS(18, 8, 9, 10, 11)
	DOTS(19, 12, 13, 14, 15)
	SUB  $1, R17, R17
	CMP  $0, R17
	BGT  loop
	CBZ  R8, done

	// Once more, from 16 bytes before the end.
	MOVD $neonByteMasks<>(SB), R19
	ADD  R8, R19, R19
	VLD1 (R19), [V24.B16]
	SUB  $16, R8, R8
	ADD  R8, R0, R0
	ADD  R8, R11, R11
	ADD  R8, R12, R12
	ADD  R8, R13, R13
	ADD  R8, R4, R4
	ADD  R8, R14, R14
	ADD  R8, R15, R15
	ADD  R8, R16, R16
	VLD1 (R0), [V16.B16]
	VLD1 (R11), [V17.B16]
	VLD1 (R12), [V18.B16]
	VLD1 (R13), [V19.B16]
	VLD1 (R4), [V20.B16]
	VLD1 (R14), [V21.B16]
	VLD1 (R15), [V22.B16]
	VLD1 (R16), [V23.B16]
	VAND V24.B16, V20.B16, V20.B16
	VAND V24.B16, V21.B16, V21.B16
	VAND V24.B16, V22.B16, V22.B16
	VAND V24.B16, V23.B16, V23.B16
	MOVD ZR, R8
	B    multiply

done:
	SUMS4(V0, V1, V2, V3)
	SUMS4(V4, V5, V6, V7)
	SUMS4(V8, V9, V10, V11)
	SUMS4(V12, V13, V14, V15)
	VST1 [V0.S4], (R9)
	ADD  R10, R9, R9
	VST1 [V4.S4], (R9)
	ADD  R10, R9, R9
	VST1 [V8.S4], (R9)
	ADD  R10, R9, R9
	VST1 [V12.S4], (R9)
	RET

// func neonDotS8_1x4(a *uint8, b *int8, ldb int, k int, c *int32)
// c[j] = Σ (a[k]-128)·b[j][k] for 4 rows of b, as neonDotS8_4x4.
TEXT ·neonDotS8_1x4(SB), NOSPLIT, $0-40
	ROW(DOTS)

// func neonMulS8_1x4(a *uint8, b *int8, ldb int, k int, c *int32)
// neonDotS8_1x4 where SDOT is missing.
TEXT ·neonMulS8_1x4(SB), NOSPLIT, $0-40
	ROW(MULS)

// func neonRowSumS8(b *int8, blocks int) int32
// The sum of blocks of 32 signed bytes.
TEXT ·neonRowSumS8(SB), NOSPLIT, $0-20
	MOVD b+0(FP), R0
	MOVD blocks+8(FP), R1
	VMOVI $1, V31.B16
	VEOR V0.B16, V0.B16, V0.B16
	VEOR V1.B16, V1.B16, V1.B16
	CBZ  R1, done

loop:
	VLD1.P 32(R0), [V2.B16, V3.B16]
	MUL(31, 2, 0)
	MUL(31, 3, 1)
	SUB  $1, R1, R1
	CBNZ R1, loop

done:
	VADD  V1.S4, V0.S4, V0.S4
	VADDV V0.S4, V0
	VMOV  V0.S[0], R2
	MOVW  R2, ret+16(FP)
	RET

// func neonAbsMax(x *float32, blocks int) float32
// The largest magnitude of blocks of eight; NaN counts for nothing.
TEXT ·neonAbsMax(SB), NOSPLIT, $0-20
	MOVD x+0(FP), R0
	MOVD blocks+8(FP), R1
	VEOR V0.B16, V0.B16, V0.B16
	VEOR V1.B16, V1.B16, V1.B16
	CBZ  R1, done

loop:
	VLD1.P 32(R0), [V2.S4, V3.S4]
	FABS(2, 2)
	FABS(3, 3)
	FMAXNM(2, 0, 0)
	FMAXNM(3, 1, 1)
	SUB  $1, R1, R1
	CBNZ R1, loop

done:
	FMAXNM(1, 0, 0)
	FMAXNMV(0, 0)
	FMOVS F0, ret+16(FP)
	RET

// dst = x·scale + 128 for a block of eight, converted by CONVERT.
#define QUANTIZE(CONVERT) \
	VLD1.P 32(R1), [V2.S4, V3.S4]   \
	VMOV   V29.B16, V0.B16           \
	VMOV   V29.B16, V1.B16           \
	VFMLA  V30.S4, V2.S4, V0.S4      \
	VFMLA  V30.S4, V3.S4, V1.S4      \
	CONVERT(0, 0)                    \
	CONVERT(1, 1)                    \
	SQXTUN(0, 0)                     \
	SQXTUN2(1, 0)                    \
	UQXTN(0, 0)                      \
	VST1.P [V0.B8], 8(R0)            \
	SUB    $1, R2, R2

// func neonQuantizeU8(dst *uint8, x *float32, blocks int, scale float32, truncate int)
// dst = x·scale + 128, rounded or cut, for blocks of eight.
TEXT ·neonQuantizeU8(SB), NOSPLIT, $0-40
	MOVD  dst+0(FP), R0
	MOVD  x+8(FP), R1
	MOVD  blocks+16(FP), R2
	FMOVS scale+24(FP), F30
	MOVD  truncate+32(FP), R3
	VDUP  V30.S[0], V30.S4
	MOVW  $0x43000000, R4
	VDUP  R4, V29.S4
	CBZ   R2, done
	CBNZ  R3, cut

round:
	QUANTIZE(FCVTNS)
	CBNZ R2, round
	RET

cut:
	QUANTIZE(FCVTZS)
	CBNZ R2, cut

done:
	RET

// func neonDequantS32(dst *float32, c *int32, blocks int, inverse float32, relu uint32, scale *float32, bias *float32, residual *float32)
// dst = c·inverse/scale (+ bias), 0 where negative if relu is all ones, (+
// residual), for blocks of four.
TEXT ·neonDequantS32(SB), NOSPLIT, $0-56
	MOVD  dst+0(FP), R0
	MOVD  c+8(FP), R1
	MOVD  blocks+16(FP), R2
	FMOVS inverse+24(FP), F30
	MOVWU relu+28(FP), R3
	MOVD  scale+32(FP), R4
	MOVD  bias+40(FP), R5
	MOVD  residual+48(FP), R6
	VDUP  V30.S[0], V30.S4
	VDUP  R3, V29.S4
	CBZ   R2, done

loop:
	VLD1.P 16(R1), [V0.S4]
	VLD1.P 16(R4), [V1.S4]
	SCVTF(0, 0)
	FMUL(30, 0, 0)
	FDIV(1, 0, 0)
	CBZ    R5, unbiased
	VLD1.P 16(R5), [V2.S4]
	FADD(2, 0, 0)

unbiased:
	NEGATIVE(0, 3)
	VAND V29.B16, V3.B16, V3.B16
	BIC(3, 0, 0)
	CBZ    R6, store
	VLD1.P 16(R6), [V2.S4]
	FADD(2, 0, 0)

store:
	VST1.P [V0.S4], 16(R0)
	SUB    $1, R2, R2
	CBNZ   R2, loop

done:
	RET
