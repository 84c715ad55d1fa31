#include "go_asm.h"
#include "textflag.h"

// Y0 indices of eight values, Y1 k0, Y2 high, Y3 k1, Y4 and Y5 the mixer's
// factors, Y10 eights; the hash comes out in Y11. As package job's Key.At.

#define SCRAMBLE \
	VPSRLD  $16, Y11, Y12  \
	VPXOR   Y12, Y11, Y11  \
	VPMULLD Y4, Y11, Y11   \
	VPSRLD  $15, Y11, Y12  \
	VPXOR   Y12, Y11, Y11  \
	VPMULLD Y5, Y11, Y11   \
	VPSRLD  $16, Y11, Y12  \
	VPXOR   Y12, Y11, Y11

#define NOISE \
	VPXOR  Y1, Y0, Y11  \
	SCRAMBLE            \
	VPADDD Y2, Y11, Y11 \
	VPXOR  Y3, Y11, Y11 \
	SCRAMBLE            \
	VPADDD Y10, Y0, Y0

// AX points at the constants.
#define SETUP \
	VPBROADCASTD constants_first(AX), Y0 \
	VPADDD       iota<>+0(SB), Y0, Y0    \
	VPBROADCASTD constants_k0(AX), Y1    \
	VPBROADCASTD constants_high(AX), Y2  \
	VPBROADCASTD constants_k1(AX), Y3    \
	VPBROADCASTD numbers<>+0(SB), Y4     \
	VPBROADCASTD numbers<>+4(SB), Y5     \
	VPBROADCASTD constants_shift(AX), Y6 \
	VPBROADCASTD numbers<>+16(SB), Y10

// ACROSS makes the first of Y's eight values what OP makes of all; X is Y's lower half.
#define ACROSS(OP, Y, X) \
	VEXTRACTI128 $1, Y, X15 \
	OP           X15, X, X   \
	VPSHUFD      $0x4e, X, X15 \
	OP           X15, X, X   \
	VPSHUFD      $0xb1, X, X15 \
	OP           X15, X, X

DATA iota<>+0(SB)/4, $0
DATA iota<>+4(SB)/4, $1
DATA iota<>+8(SB)/4, $2
DATA iota<>+12(SB)/4, $3
DATA iota<>+16(SB)/4, $4
DATA iota<>+20(SB)/4, $5
DATA iota<>+24(SB)/4, $6
DATA iota<>+28(SB)/4, $7
GLOBL iota<>(SB), RODATA|NOPTR, $32

DATA numbers<>+0(SB)/4, $0x7feb352d  // the mixer's first factor
DATA numbers<>+4(SB)/4, $0x846ca68b  // and its second
DATA numbers<>+8(SB)/4, $0x7f800000  // exponent field of a float32
DATA numbers<>+12(SB)/4, $0x33800000 // 2^-24
DATA numbers<>+16(SB)/4, $8
GLOBL numbers<>(SB), RODATA|NOPTR, $20

// func addNoisyAVX2(sum *int32, values *float32, n int, k *constants)
TEXT ·addNoisyAVX2(SB), NOSPLIT, $0-32
	MOVQ         sum+0(FP), DI
	MOVQ         values+8(FP), SI
	MOVQ         n+16(FP), CX
	MOVQ         k+24(FP), AX
	SETUP
	VPBROADCASTD constants_lowest(AX), Y7
	VPBROADCASTD numbers<>+8(SB), Y8
	VPBROADCASTD numbers<>+12(SB), Y9

addEight:
	NOISE
	VMOVDQU    (SI), Y13
	VPAND      Y8, Y13, Y14
	VPCMPGTD   Y7, Y14, Y14 // which values count
	VPADDD     Y6, Y13, Y13 // x * 2^k
	VPSRLD     $8, Y11, Y11
	VCVTDQ2PS  Y11, Y11
	VMULPS     Y9, Y11, Y11 // u
	VADDPS     Y11, Y13, Y13
	VROUNDPS   $9, Y13, Y13 // down
	VCVTTPS2DQ Y13, Y13
	VPAND      Y14, Y13, Y13
	VPADDD     (DI), Y13, Y13
	VMOVDQU    Y13, (DI)
	ADDQ       $32, SI
	ADDQ       $32, DI
	SUBQ       $8, CX
	JNZ        addEight
	VZEROUPPER
	RET

// func shiftNoisyAVX2(sum *int32, n int, k *constants)
TEXT ·shiftNoisyAVX2(SB), NOSPLIT, $0-24
	MOVQ         sum+0(FP), DI
	MOVQ         n+8(FP), CX
	MOVQ         k+16(FP), AX
	SETUP
	VPBROADCASTD constants_mask(AX), Y7

shiftEight:
	NOISE
	VPAND   Y7, Y11, Y11
	VPADDD  (DI), Y11, Y11
	VPSRAVD Y6, Y11, Y11
	VMOVDQU Y11, (DI)
	ADDQ    $32, DI
	SUBQ    $8, CX
	JNZ     shiftEight
	VZEROUPPER
	RET

// func maxMagnitudeAVX2(values *float32, n int) uint32
TEXT ·maxMagnitudeAVX2(SB), NOSPLIT, $0-20
	MOVQ     values+0(FP), SI
	MOVQ     n+8(FP), CX
	VPCMPEQD Y0, Y0, Y0
	VPSRLD   $1, Y0, Y0 // all but the sign
	VPXOR    Y1, Y1, Y1
	VPXOR    Y2, Y2, Y2
	VPXOR    Y3, Y3, Y3
	VPXOR    Y4, Y4, Y4

magnitudes:
	VPAND   (SI), Y0, Y5
	VPAND   32(SI), Y0, Y6
	VPAND   64(SI), Y0, Y7
	VPAND   96(SI), Y0, Y8
	VPMAXUD Y5, Y1, Y1
	VPMAXUD Y6, Y2, Y2
	VPMAXUD Y7, Y3, Y3
	VPMAXUD Y8, Y4, Y4
	ADDQ    $128, SI
	SUBQ    $32, CX
	JNZ     magnitudes

	VPMAXUD Y2, Y1, Y1
	VPMAXUD Y4, Y3, Y3
	VPMAXUD Y3, Y1, Y1
	ACROSS(VPMAXUD, Y1, X1)
	VMOVD   X1, AX
	MOVL    AX, ret+16(FP)
	VZEROUPPER
	RET

// func extremesAVX2(values *int32, n int) (low, high int32)
TEXT ·extremesAVX2(SB), NOSPLIT, $0-24
	MOVQ  values+0(FP), SI
	MOVQ  n+8(FP), CX
	VPXOR Y1, Y1, Y1
	VPXOR Y2, Y2, Y2
	VPXOR Y3, Y3, Y3
	VPXOR Y4, Y4, Y4

extremes:
	VMOVDQU (SI), Y5
	VMOVDQU 32(SI), Y6
	VPMINSD Y5, Y1, Y1
	VPMINSD Y6, Y2, Y2
	VPMAXSD Y5, Y3, Y3
	VPMAXSD Y6, Y4, Y4
	ADDQ    $64, SI
	SUBQ    $16, CX
	JNZ     extremes

	VPMINSD Y2, Y1, Y1
	VPMAXSD Y4, Y3, Y3
	ACROSS(VPMINSD, Y1, X1)
	ACROSS(VPMAXSD, Y3, X3)
	VMOVD   X1, AX
	MOVL    AX, low+16(FP)
	VMOVD   X3, AX
	MOVL    AX, high+20(FP)
	VZEROUPPER
	RET

// func dequantizeAVX2(dst *float32, sum *int32, n int, f1, f2 float32) uint32
TEXT ·dequantizeAVX2(SB), NOSPLIT, $0-36
	MOVQ         dst+0(FP), DI
	MOVQ         sum+8(FP), SI
	MOVQ         n+16(FP), CX
	VBROADCASTSS f1+24(FP), Y6
	VBROADCASTSS f2+28(FP), Y7
	VPBROADCASTD numbers<>+8(SB), Y8
	VPXOR        Y0, Y0, Y0
	VPXOR        Y1, Y1, Y1

dequantizeEight:
	VCVTDQ2PS (SI), Y2
	VMULPS    Y6, Y2, Y2
	VMULPS    Y7, Y2, Y2
	VPAND     Y8, Y2, Y3
	VPMAXUD   Y3, Y1, Y1
	VPCMPEQD  Y0, Y3, Y3 // too small
	VPANDN    Y2, Y3, Y2
	VMOVDQU   Y2, (DI)
	ADDQ      $32, SI
	ADDQ      $32, DI
	SUBQ      $8, CX
	JNZ       dequantizeEight

	ACROSS(VPMAXUD, Y1, X1)
	VMOVD X1, AX
	MOVL  AX, ret+32(FP)
	VZEROUPPER
	RET
