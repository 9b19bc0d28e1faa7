package kernels

import "testing"

// TestOtherTuning runs the tests of what is chosen by the processor's design with the
// other choices.
func TestOtherTuning(t *testing.T) {
	if !hasAVX512VNNI() {
		t.Skip("the processor lacks AVX-512 VNNI, the tier with a choice")
	}
	before := tiers
	defer func() {
		tuneAVX512(thisDesign())
		tiers = before
		Use("")
	}()
	for name, d := range map[string]design{"intel": intel, "zen4": zen4, "zen5": zen5} {
		if d == thisDesign() {
			continue
		}
		tuneAVX512(d)
		tiers = []tier{{AVX512VNNI, avx512S8, avx512F32}}
		t.Run(name+"/LinearS8", TestLinearS8)
		t.Run(name+"/WeightsAnywhere", TestWeightsAnywhere)
		t.Run(name+"/SinksAndBatches", TestSinksAndBatches)
		t.Run(name+"/Levels", TestLevels)
		t.Run(name+"/LinearArgMax", TestLinearArgMax)
	}
}
