package kernels

import (
	"fmt"
	"strings"
)

// ISA is a tier of kernels: what the processor must be able to do.
type ISA uint8

// The tiers, in no order of speed; see Available.
const (
	Generic    ISA = iota // plain Go
	AVX2                  // AVX2 and FMA
	AVXVNNI               // AVX2, FMA and AVX-VNNI
	AVX512VNNI            // AVX-512 F, BW, DQ, VL and VNNI
	AMX                   // those of AVX512VNNI and AMX for int8
	NEON                  // arm64
)

var isaNames = [...]string{"generic", "avx2", "avxvnni", "avx512vnni", "amx", "neon"}

func (i ISA) String() string { return isaNames[i] }

// tier is the set of kernels of an ISA.
type tier struct {
	isa ISA
	s8  s8Kernels
	f32 f32Kernels
}

// tiers are those that the machine can run, best first.
var (
	tiers  []tier
	active *tier
)

func init() {
	tiers = append(machineTiers(), tier{Generic, genericS8, genericF32})
	active = &tiers[0]
}

// Available returns the tiers that this machine can run, best first. The last
// is always Generic.
func Available() []ISA {
	var all []ISA
	for _, t := range tiers {
		all = append(all, t.isa)
	}
	return all
}

// Active returns the tier in use.
func Active() ISA { return active.isa }

// Use makes a tier the one in use: the best for an empty name. The error names
// a tier that is unknown or that the machine lacks. It must not be called while
// kernels run.
func Use(name string) error {
	if name == "" {
		active = &tiers[0]
		return nil
	}
	var names []string
	for i := range tiers {
		if strings.EqualFold(tiers[i].isa.String(), name) {
			active = &tiers[i]
			return nil
		}
		names = append(names, tiers[i].isa.String())
	}
	for _, known := range isaNames {
		if strings.EqualFold(known, name) {
			return fmt.Errorf("kernels: this machine has no %s; it has %s", known, strings.Join(names, ", "))
		}
	}
	return fmt.Errorf("kernels: unknown tier %q: one of %s", name, strings.Join(isaNames[:], ", "))
}
