package kernels

import (
	"fmt"
	"testing"
	"unsafe"
)

// BenchmarkTiles multiplies by AMX out of the first two caches, with blocks of 16 rows: by
// packed columns, while none or some are fetched, by weights as they are stored and by levels.
// Its figures fall into two groups: by whether the other thread of the core is busy.
func BenchmarkTiles(b *testing.B) {
	defer Use("")
	if Use(AMX.String()) != nil {
		b.Skip("this machine has no AMX")
	}
	const k, most, panels = 1024, 8, 4
	x, w, behind := make([]byte, most*tileLines*k), make([]int8, panels*panelColumns*k+tileLine), make([]byte, 2*panelColumns*k)
	levels := make([]byte, panels*coarsePanelBytes(k)+2*panelColumns*k)
	c, transposed, add := make([]int32, most*tileLines*panels*panelColumns), make([]int32, 2*tileLines*panelColumns), make([]int32, panels*panelColumns)
	place, next := uintptr(unsafe.Pointer(&c[0])), uintptr(unsafe.Pointer(&behind[0]))
	measure := func(name string, rows, columns int, f func()) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				f()
			}
			b.ReportMetric(float64(b.N)*float64(2*rows*columns*k)/b.Elapsed().Seconds()/1e9, "GOPS")
		})
	}
	for _, lines := range []int{0, 2} {
		measure(fmt.Sprintf("packed/%d/fetch%d", most, lines), most*tileLines, panelColumns, func() {
			tilePanel[2](tileConfig(tileLines), &x[0], tileLines*k, most/2, &w[0], tileLines*k, k/tileLine, &c[0], &add[0], 0, next, k, lines, place, 0)
		})
	}
	for blocks := 1; blocks <= 2; blocks++ {
		rows := blocks * tileLines
		measure(fmt.Sprintf("stored/%d", blocks), rows, panels*panelColumns, func() {
			tileProducts[blocks](tileConfig(tileLines), &w[0], k, panels, &x[0], tileLines*k, 1, k/tileLine, 0, &transposed[0], &c[0], &add[0], next, fetchLines)
		})
		measure(fmt.Sprintf("levels/%d", blocks), rows, panels*panelColumns, func() {
			coarseTiles[blocks](tileConfig(tileLines), &int8s(x)[0], k, rows, &levels[0], panels, k/(4*tileLine), &c[0], 4*panels*panelColumns)
		})
	}
}
