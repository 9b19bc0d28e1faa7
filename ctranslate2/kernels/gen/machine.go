package main

import (
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// streamAhead is how far ahead readMemory fetches, in bytes.
const streamAhead = 4096

// readMemory generates what reads memory in the order of its addresses.
func readMemory() {
	const name = "readMemory"
	TEXT(name, NOSPLIT, "func(p *byte, n int) uint64")
	Pragma("noescape")
	p, n := gp("p"), gp("n")
	acc := zeros(8)
	SHRQ(imm(10), n)
	JZ(label(name + "_done"))
	Label(name + "_loop")
	for i := 0; i < 16; i++ {
		PREFETCHT1(mem{Base: p, Disp: 64*i + streamAhead})
		VPADDQ(mem{Base: p, Disp: 64 * i}, acc[i%8], acc[i%8])
	}
	ADDQ(operand.I32(1024), p)
	DECQ(n)
	JNZ(label(name + "_loop"))
	Label(name + "_done")
	returnSum(acc)
}

// readStripes generates what reads n bytes in each of eight places, by turns.
func readStripes() {
	const name = "readStripes"
	TEXT(name, NOSPLIT, "func(p *byte, apart int, n int) uint64")
	Pragma("noescape")
	high, n, acc := GP64(), gp("n"), zeros(8)
	low := newStridedRows(gp("p"), gp("apart"), 4)
	LEAQ(mem{Base: low.bases[0], Index: low.stride, Scale: 4}, high)
	SHRQ(imm(6), n)
	JZ(label(name + "_done"))
	Label(name + "_loop")
	for i, rows := range []stridedRows{low, {[]reg.GPVirtual{high}, low.stride, low.stride3}} {
		for j := 0; j < 4; j++ {
			PREFETCHT0(at(rows.row(j), stripeAhead))
			VPADDQ(rows.row(j), acc[4*i+j], acc[4*i+j])
		}
		rows.advance(64)
	}
	DECQ(n)
	JNZ(label(name + "_loop"))
	Label(name + "_done")
	returnSum(acc)
}

// returnSum returns a lane of the sum of some vectors, so that these are needed.
func returnSum(acc []reg.VecVirtual) {
	for _, v := range acc[1:] {
		VPADDQ(v, acc[0], acc[0])
	}
	r := GP64()
	VMOVQ(acc[0].AsX(), r)
	Store(r, ReturnIndex(0))
	VZEROUPPER()
	RET()
}

// peakS8 generates n rounds of int8 products in registers.
func peakS8() {
	TEXT("peakS8", NOSPLIT, "func(n int)")
	n, zs := gp("n"), zeros(26)
	Label("peakS8_loop")
	for i := 0; i < 24; i++ {
		VPDPBUSD(zs[24], zs[25], zs[i])
	}
	DECQ(n)
	JNZ(label("peakS8_loop"))
	VZEROUPPER()
	RET()
}

// cpuid generates what the processor says of itself. Source: the instruction's reference in
// either maker's manual.
func cpuid() {
	TEXT("cpuid", NOSPLIT, "func(leaf uint32) (a uint32, b uint32, c uint32, d uint32)")
	Load(Param("leaf"), reg.EAX)
	XORL(reg.ECX, reg.ECX)
	CPUID()
	for i, r := range []reg.Register{reg.EAX, reg.EBX, reg.ECX, reg.EDX} {
		Store(r, ReturnIndex(i))
	}
	RET()
}
