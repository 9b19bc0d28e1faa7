package main

import (
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// loop16 runs body for blocks of 16 of n elements, then for the rest with a
// mask. body advances nothing; advance is called after each full block.
func loop16(name string, n reg.GPVirtual, body func(mask *reg.OpmaskVirtual), advance func()) {
	blocks := GP64()
	MOVQ(n, blocks)
	SHRQ(imm(4), blocks)
	JZ(label(name + "_tail"))
	Label(name + "_loop")
	body(nil)
	advance()
	DECQ(blocks)
	JNZ(label(name + "_loop"))
	Label(name + "_tail")
	ANDQ(imm(15), n)
	JZ(label(name + "_done"))
	mask := lowMask(n)
	body(&mask)
	Label(name + "_done")
}

// loadPS loads 16 floats, zero where mask leaves them out.
func loadPS(m mem, mask *reg.OpmaskVirtual) reg.VecVirtual {
	v := ZMM()
	if mask != nil {
		VMOVUPS_Z(m, *mask, v)
	} else {
		VMOVUPS(m, v)
	}
	return v
}

func storePS(v reg.VecVirtual, m mem, mask *reg.OpmaskVirtual) {
	if mask != nil {
		VMOVUPS(v, *mask, m)
	} else {
		VMOVUPS(v, m)
	}
}

// broadcast sets all lanes to a float parameter.
func broadcast(name string) reg.VecVirtual {
	v := ZMM()
	VBROADCASTSS(param(name), v)
	return v
}

// constant sets all lanes to a dword.
func constant(bits uint32) reg.VecVirtual {
	r, v := GP32(), ZMM()
	MOVL(operand.U32(bits), r)
	VPBROADCASTD(r, v)
	return v
}

// maxLanes leaves the largest lane of v in its lowest.
func maxLanes(v reg.VecVirtual) {
	y, x := YMM(), XMM()
	VEXTRACTF64X4(imm(1), v, y)
	VMAXPS(y, v.AsY(), v.AsY())
	VEXTRACTF128(imm(1), v.AsY(), x)
	VMAXPS(x, v.AsX(), v.AsX())
	VPSHUFD(imm(0xee), v.AsX(), x)
	VMAXPS(x, v.AsX(), v.AsX())
	VPSHUFD(imm(0x55), v.AsX(), x)
	VMAXPS(x, v.AsX(), v.AsX())
}
