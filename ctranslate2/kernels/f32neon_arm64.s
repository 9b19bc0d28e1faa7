#include "textflag.h"

// Vector instructions that the assembler has no names for, on four floats each:
// d = n op m by the numbers of the registers.
#define FADDP(m, n, d) WORD $(0x6E20D400 | (m)<<16 | (n)<<5 | (d)) // sums of pairs of n, then of m
#define FMUL(m, n, d) WORD $(0x6E20DC00 | (m)<<16 | (n)<<5 | (d))
#define FCMGT(m, n, d) WORD $(0x6EA0E400 | (m)<<16 | (n)<<5 | (d)) // ones where n > m

// The lanes of four accumulators summed, (0+1)+(2+3), times alpha in V30.
#define SUMS4(a, b, c, d) \
	FADDP(b, a, a)  \
	FADDP(d, c, c)  \
	FADDP(c, a, a)  \
	FMUL(30, a, a)

// func neonDot4x4(a *float32, lda int, b *float32, ldb int, k int, c *float32, ldc int, alpha float32)
// c[i][j] = alpha·Σ a[i][k]·b[j][k] for 4 rows each; strides in bytes.
TEXT ·neonDot4x4(SB), NOSPLIT, $0-60
	MOVD  a+0(FP), R0
	MOVD  lda+8(FP), R1
	MOVD  b+16(FP), R4
	MOVD  ldb+24(FP), R5
	MOVD  k+32(FP), R8
	MOVD  c+40(FP), R9
	MOVD  ldc+48(FP), R10
	FMOVS alpha+56(FP), F30
	VDUP  V30.S[0], V30.S4
	ADD   R0, R1, R11
	ADD   R11, R1, R12
	ADD   R12, R1, R13
	ADD   R4, R5, R14
	ADD   R14, R5, R15
	ADD   R15, R5, R16
	VEOR  V0.B16, V0.B16, V0.B16
	VEOR  V1.B16, V1.B16, V1.B16
	VEOR  V2.B16, V2.B16, V2.B16
	VEOR  V3.B16, V3.B16, V3.B16
	VEOR  V4.B16, V4.B16, V4.B16
	VEOR  V5.B16, V5.B16, V5.B16
	VEOR  V6.B16, V6.B16, V6.B16
	VEOR  V7.B16, V7.B16, V7.B16
	VEOR  V8.B16, V8.B16, V8.B16
	VEOR  V9.B16, V9.B16, V9.B16
	VEOR  V10.B16, V10.B16, V10.B16
	VEOR  V11.B16, V11.B16, V11.B16
	VEOR  V12.B16, V12.B16, V12.B16
	VEOR  V13.B16, V13.B16, V13.B16
	VEOR  V14.B16, V14.B16, V14.B16
	VEOR  V15.B16, V15.B16, V15.B16
	LSR   $2, R8, R17
	CBZ   R17, rest

vector:
	VLD1.P 16(R0), [V16.S4]
	VLD1.P 16(R11), [V17.S4]
	VLD1.P 16(R12), [V18.S4]
	VLD1.P 16(R13), [V19.S4]
	VLD1.P 16(R4), [V20.S4]
	VLD1.P 16(R14), [V21.S4]
	VLD1.P 16(R15), [V22.S4]
	VLD1.P 16(R16), [V23.S4]
	VFMLA  V16.S4, V20.S4, V0.S4
	VFMLA  V16.S4, V21.S4, V1.S4
	VFMLA  V16.S4, V22.S4, V2.S4
	VFMLA  V16.S4, V23.S4, V3.S4
	VFMLA  V17.S4, V20.S4, V4.S4
	VFMLA  V17.S4, V21.S4, V5.S4
	VFMLA  V17.S4, V22.S4, V6.S4
	VFMLA  V17.S4, V23.S4, V7.S4
	VFMLA  V18.S4, V20.S4, V8.S4
	VFMLA  V18.S4, V21.S4, V9.S4
	VFMLA  V18.S4, V22.S4, V10.S4
	VFMLA  V18.S4, V23.S4, V11.S4
	VFMLA  V19.S4, V20.S4, V12.S4
	VFMLA  V19.S4, V21.S4, V13.S4
	VFMLA  V19.S4, V22.S4, V14.S4
	VFMLA  V19.S4, V23.S4, V15.S4
	SUBS   $1, R17
	BNE    vector

rest:
	ANDS $3, R8
	BEQ  sums

	// One element fills the low lane; the others are zeros.
scalar:
	FMOVS.P 4(R0), F16
	FMOVS.P 4(R11), F17
	FMOVS.P 4(R12), F18
	FMOVS.P 4(R13), F19
	FMOVS.P 4(R4), F20
	FMOVS.P 4(R14), F21
	FMOVS.P 4(R15), F22
	FMOVS.P 4(R16), F23
	VFMLA   V16.S4, V20.S4, V0.S4
	VFMLA   V16.S4, V21.S4, V1.S4
	VFMLA   V16.S4, V22.S4, V2.S4
	VFMLA   V16.S4, V23.S4, V3.S4
	VFMLA   V17.S4, V20.S4, V4.S4
	VFMLA   V17.S4, V21.S4, V5.S4
	VFMLA   V17.S4, V22.S4, V6.S4
	VFMLA   V17.S4, V23.S4, V7.S4
	VFMLA   V18.S4, V20.S4, V8.S4
	VFMLA   V18.S4, V21.S4, V9.S4
	VFMLA   V18.S4, V22.S4, V10.S4
	VFMLA   V18.S4, V23.S4, V11.S4
	VFMLA   V19.S4, V20.S4, V12.S4
	VFMLA   V19.S4, V21.S4, V13.S4
	VFMLA   V19.S4, V22.S4, V14.S4
	VFMLA   V19.S4, V23.S4, V15.S4
	SUBS    $1, R8
	BNE     scalar

sums:
	SUMS4(0, 1, 2, 3)
	SUMS4(4, 5, 6, 7)
	SUMS4(8, 9, 10, 11)
	SUMS4(12, 13, 14, 15)
	VST1 [V0.S4], (R9)
	ADD  R10, R9
	VST1 [V4.S4], (R9)
	ADD  R10, R9
	VST1 [V8.S4], (R9)
	ADD  R10, R9
	VST1 [V12.S4], (R9)
	RET

// func neonDot1x4(a *float32, b *float32, ldb int, k int, c *float32, alpha float32)
// c[j] = alpha·Σ a[k]·b[j][k] for 4 rows of b; the stride in bytes.
TEXT ·neonDot1x4(SB), NOSPLIT, $0-44
	MOVD  a+0(FP), R0
	MOVD  b+8(FP), R4
	MOVD  ldb+16(FP), R5
	MOVD  k+24(FP), R8
	MOVD  c+32(FP), R9
	FMOVS alpha+40(FP), F30
	VDUP  V30.S[0], V30.S4
	ADD   R4, R5, R14
	ADD   R14, R5, R15
	ADD   R15, R5, R16
	VEOR  V0.B16, V0.B16, V0.B16
	VEOR  V1.B16, V1.B16, V1.B16
	VEOR  V2.B16, V2.B16, V2.B16
	VEOR  V3.B16, V3.B16, V3.B16
	LSR   $2, R8, R17
	CBZ   R17, rest

vector:
	VLD1.P 16(R0), [V16.S4]
	VLD1.P 16(R4), [V20.S4]
	VLD1.P 16(R14), [V21.S4]
	VLD1.P 16(R15), [V22.S4]
	VLD1.P 16(R16), [V23.S4]
	VFMLA  V16.S4, V20.S4, V0.S4
	VFMLA  V16.S4, V21.S4, V1.S4
	VFMLA  V16.S4, V22.S4, V2.S4
	VFMLA  V16.S4, V23.S4, V3.S4
	SUBS   $1, R17
	BNE    vector

rest:
	ANDS $3, R8
	BEQ  sums

scalar:
	FMOVS.P 4(R0), F16
	FMOVS.P 4(R4), F20
	FMOVS.P 4(R14), F21
	FMOVS.P 4(R15), F22
	FMOVS.P 4(R16), F23
	VFMLA   V16.S4, V20.S4, V0.S4
	VFMLA   V16.S4, V21.S4, V1.S4
	VFMLA   V16.S4, V22.S4, V2.S4
	VFMLA   V16.S4, V23.S4, V3.S4
	SUBS    $1, R8
	BNE     scalar

sums:
	SUMS4(0, 1, 2, 3)
	VST1 [V0.S4], (R9)
	RET

// func neonAxpy(dst *float32, x *float32, n int, a float32)
// dst += a·x, each rounded once.
TEXT ·neonAxpy(SB), NOSPLIT, $0-28
	MOVD  dst+0(FP), R0
	MOVD  x+8(FP), R1
	MOVD  n+16(FP), R2
	FMOVS a+24(FP), F30
	VDUP  V30.S[0], V29.S4
	LSR   $4, R2, R3
	CBZ   R3, rest

vector:
	VLD1   (R0), [V0.S4, V1.S4, V2.S4, V3.S4]
	VLD1.P 64(R1), [V4.S4, V5.S4, V6.S4, V7.S4]
	VFMLA  V29.S4, V4.S4, V0.S4
	VFMLA  V29.S4, V5.S4, V1.S4
	VFMLA  V29.S4, V6.S4, V2.S4
	VFMLA  V29.S4, V7.S4, V3.S4
	VST1.P [V0.S4, V1.S4, V2.S4, V3.S4], 64(R0)
	SUBS   $1, R3
	BNE    vector

rest:
	ANDS $15, R2
	BEQ  done

scalar:
	FMOVS   (R0), F0
	FMOVS.P 4(R1), F4
	FMADDS  F30, F0, F4, F0
	FMOVS.P F0, 4(R0)
	SUBS    $1, R2
	BNE     scalar

done:
	RET

// func neonMax(top *float32, x *float32, blocks int)
// Each of 4 tops becomes the largest of itself and its lane of blocks of 16.
TEXT ·neonMax(SB), NOSPLIT, $0-24
	MOVD top+0(FP), R0
	MOVD x+8(FP), R1
	MOVD blocks+16(FP), R2
	VLD1 (R0), [V0.S4]
	CBZ  R2, done

loop:
	VLD1.P 64(R1), [V4.S4, V5.S4, V6.S4, V7.S4]
	FCMGT(0, 4, 16)
	VBIT   V16.B16, V4.B16, V0.B16
	FCMGT(0, 5, 16)
	VBIT   V16.B16, V5.B16, V0.B16
	FCMGT(0, 6, 16)
	VBIT   V16.B16, V6.B16, V0.B16
	FCMGT(0, 7, 16)
	VBIT   V16.B16, V7.B16, V0.B16
	SUBS   $1, R2
	BNE    loop
	VST1   [V0.S4], (R0)

done:
	RET

// func neonAbove(x *float32, blocks int, threshold float32) int
// The number of blocks of 16 before the first that has a value above threshold.
TEXT ·neonAbove(SB), NOSPLIT, $0-32
	MOVD  x+0(FP), R1
	MOVD  blocks+8(FP), R2
	FMOVS threshold+16(FP), F0
	VDUP  V0.S[0], V0.S4
	MOVD  $0, R3

loop:
	CMP    R2, R3
	BGE    done
	VLD1.P 64(R1), [V4.S4, V5.S4, V6.S4, V7.S4]
	FCMGT(0, 4, 16)
	FCMGT(0, 5, 17)
	FCMGT(0, 6, 18)
	FCMGT(0, 7, 19)
	VORR   V17.B16, V16.B16, V16.B16
	VORR   V19.B16, V18.B16, V18.B16
	VORR   V18.B16, V16.B16, V16.B16
	VMOV   V16.D[0], R4
	VMOV   V16.D[1], R5
	ORR    R5, R4
	CBNZ   R4, done
	ADD    $1, R3
	B      loop

done:
	MOVD R3, ret+24(FP)
	RET
