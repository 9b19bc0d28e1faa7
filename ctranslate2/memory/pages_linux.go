package memory

import "syscall"

const noReserve = syscall.MAP_NORESERVE

// Decommit lets the system take back the pages of b; they read as zero next.
func Decommit(b []byte) { _ = syscall.Madvise(b, syscall.MADV_DONTNEED) }

// AdviseHuge asks for huge pages, which are read faster, or for none.
func AdviseHuge(b []byte, huge bool) {
	advice := syscall.MADV_NOHUGEPAGE
	if huge {
		advice = syscall.MADV_HUGEPAGE
	}
	_ = syscall.Madvise(b, advice)
}
