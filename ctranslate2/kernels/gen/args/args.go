// Package args is how the generators' functions reach parameters and return floats. Avo loads
// and stores floats with instructions of SSE, and those take hundreds of cycles on Intel's
// newer processors where the upper half of any register is not zero.
package args

import (
	"go/types"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/gotypes"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Param returns the address of a parameter.
func Param(name string) operand.Mem { return resolve(build.Param(name)).Addr }

// Return stores the first float of x as a result.
func Return(x reg.Vec, result gotypes.Component) {
	b := resolve(result)
	if b.Type.Kind() == types.Float64 {
		build.VMOVSD(x.AsX(), b.Addr)
	} else {
		build.VMOVSS(x.AsX(), b.Addr)
	}
}

func resolve(c gotypes.Component) *gotypes.Basic {
	b, err := c.Resolve()
	if err != nil {
		panic(err)
	}
	return b
}
