package ctranslate2

import "syscall"

const mapNoReserve = syscall.MAP_NORESERVE

func madviseDontNeed(b []byte) error { return syscall.Madvise(b, syscall.MADV_DONTNEED) }

// adviseHuge asks for huge pages, which are read faster.
func adviseHuge(b []byte) { _ = syscall.Madvise(b, syscall.MADV_HUGEPAGE) }
