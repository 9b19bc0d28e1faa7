package kernels

import "testing"

func TestMain(m *testing.M) {
	tiers = append(tiers, tier{AVX2, genericS8, avx2F32})
	m.Run()
}
