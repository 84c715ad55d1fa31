#include "go_asm.h"
#include "textflag.h"

// func applyAVX(w, grad, m, v *float32, n int, c *constants)
TEXT ·applyAVX(SB), NOSPLIT, $0-48
	MOVQ         w+0(FP), DI
	MOVQ         grad+8(FP), SI
	MOVQ         m+16(FP), R8
	MOVQ         v+24(FP), R9
	MOVQ         n+32(FP), CX
	MOVQ         c+40(FP), AX
	VBROADCASTSS constants_clip(AX), Y0
	VBROADCASTSS constants_keep(AX), Y1
	VBROADCASTSS constants_b1(AX), Y2
	VBROADCASTSS constants_c1(AX), Y3
	VBROADCASTSS constants_b2(AX), Y4
	VBROADCASTSS constants_c2(AX), Y5
	VBROADCASTSS constants_step(AX), Y6
	VBROADCASTSS constants_root(AX), Y7
	VBROADCASTSS constants_eps(AX), Y8

eight:
	VMULPS  (SI), Y0, Y9   // x = g * clip
	VMULPS  (R8), Y2, Y10
	VMULPS  Y3, Y9, Y11
	VADDPS  Y11, Y10, Y10  // m = b1*m + c1*x
	VMOVUPS Y10, (R8)
	VMULPS  Y9, Y9, Y9
	VMULPS  Y5, Y9, Y9
	VMULPS  (R9), Y4, Y11
	VADDPS  Y9, Y11, Y11   // v = b2*v + c2*x*x
	VMOVUPS Y11, (R9)
	VSQRTPS Y11, Y11
	VDIVPS  Y7, Y11, Y11   // sqrt(v) / root
	VADDPS  Y8, Y11, Y11
	VDIVPS  Y11, Y10, Y10  // m / (... + eps)
	VMULPS  Y6, Y10, Y10
	VMULPS  (DI), Y1, Y12
	VSUBPS  Y10, Y12, Y12  // w = w*keep - step*...
	VMOVUPS Y12, (DI)
	ADDQ    $32, SI
	ADDQ    $32, DI
	ADDQ    $32, R8
	ADDQ    $32, R9
	SUBQ    $8, CX
	JNZ     eight
	VZEROUPPER
	RET

// func divideAVX(values *float32, n int, by float64)
TEXT ·divideAVX(SB), NOSPLIT, $0-24
	MOVQ         values+0(FP), DI
	MOVQ         n+8(FP), CX
	VBROADCASTSD by+16(FP), Y0

eight:
	VCVTPS2PD  (DI), Y1
	VCVTPS2PD  16(DI), Y2
	VDIVPD     Y0, Y1, Y1
	VDIVPD     Y0, Y2, Y2
	VCVTPD2PSY Y1, X1
	VCVTPD2PSY Y2, X2
	VMOVUPS    X1, (DI)
	VMOVUPS    X2, 16(DI)
	ADDQ       $32, DI
	SUBQ       $8, CX
	JNZ        eight
	VZEROUPPER
	RET
