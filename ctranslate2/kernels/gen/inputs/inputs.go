// Package inputs is what the generators of sparse products share: how these find the
// weights of the inputs in a list.
package inputs

import (
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/sematech/sema/ctranslate2/kernels/gen/args"
)

// Group is how many inputs sparse products take at a time.
const Group = 8

// Weights returns where the weights of a group of inputs lie, which begins at list, behind
// the parameter w.
func Weights(list reg.GPVirtual) (weights [Group]reg.GPVirtual) {
	w := args.Param("w")
	for j := range weights {
		weights[j] = GP64()
		MOVLQSX(operand.Mem{Base: list, Disp: 4 * j}, weights[j])
		ADDQ(w, weights[j])
	}
	return weights
}

// Fetch fetches, at every other line of columns, two lines of the weights of each input of
// the next group, behind w: memory reads faster the longer the runs are.
func Fetch(name string, list, w, column reg.GPVirtual) {
	TESTQ(operand.I32(64), column)
	JNZ(operand.LabelRef(name + "_fetched"))
	place := GP64()
	for j := range Group {
		MOVLQSX(operand.Mem{Base: list, Disp: 4 * (Group + j)}, place)
		PREFETCHT0(operand.Mem{Base: w, Index: place, Scale: 1})
		PREFETCHT0(operand.Mem{Base: w, Index: place, Scale: 1, Disp: 64})
	}
	Label(name + "_fetched")
}
