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
	for _, d := range designs {
		if d == thisDesign() {
			continue
		}
		tuneAVX512(d)
		tiers = []tier{{AVX512VNNI, avx512S8, avx512F32}}
		t.Run("LinearS8", TestLinearS8)
		t.Run("WeightsAnywhere", TestWeightsAnywhere)
		t.Run("SinksAndBatches", TestSinksAndBatches)
		t.Run("Levels", TestLevels)
		t.Run("LinearArgMax", TestLinearArgMax)
	}
}
