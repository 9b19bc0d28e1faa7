package kernels

import (
	"math"
	"os"
	"path"
	"runtime"
	"strconv"
	"strings"
)

// DefaultThreads returns how many CPUs the process may use: those of its
// affinity, bounded by the CPU quota of its control group, which
// runtime.NumCPU does not know.
func DefaultThreads() int {
	n := runtime.NumCPU()
	if quota := cgroupCPUs(os.ReadFile); quota > 0 {
		n = min(n, int(math.Ceil(quota)))
	}
	return max(n, 1)
}

// cgroupCPUs returns the smallest CPU quota of the process's control group and
// those above it, in CPUs; 0 if there is none.
func cgroupCPUs(read func(string) ([]byte, error)) float64 {
	least := 0.0
	note := func(quota float64) {
		if quota > 0 && (least == 0 || quota < least) {
			least = quota
		}
	}
	data, _ := read("/proc/self/cgroup")
	for _, line := range strings.Split(string(data), "\n") {
		fields := strings.SplitN(line, ":", 3)
		if len(fields) != 3 {
			continue
		}
		for dir := path.Clean("/" + fields[2]); ; dir = path.Dir(dir) {
			switch {
			case fields[0] == "0":
				note(quotaV2(read, "/sys/fs/cgroup"+dir))
			case hasController(fields[1], "cpu"):
				note(quotaV1(read, "/sys/fs/cgroup/cpu"+dir))
			}
			if dir == "/" {
				break
			}
		}
	}
	return least
}

func hasController(list, name string) bool {
	for _, c := range strings.Split(list, ",") {
		if c == name {
			return true
		}
	}
	return false
}

// quotaV2 reads cpu.max: "max 100000" or "150000 100000".
func quotaV2(read func(string) ([]byte, error), dir string) float64 {
	data, err := read(path.Join(dir, "cpu.max"))
	fields := strings.Fields(string(data))
	if err != nil || len(fields) != 2 {
		return 0
	}
	return ratio(fields[0], fields[1])
}

func quotaV1(read func(string) ([]byte, error), dir string) float64 {
	quota, err1 := read(path.Join(dir, "cpu.cfs_quota_us"))
	period, err2 := read(path.Join(dir, "cpu.cfs_period_us"))
	if err1 != nil || err2 != nil {
		return 0
	}
	return ratio(strings.TrimSpace(string(quota)), strings.TrimSpace(string(period)))
}

func ratio(quota, period string) float64 {
	q, err1 := strconv.ParseFloat(quota, 64)
	p, err2 := strconv.ParseFloat(period, 64)
	if err1 != nil || err2 != nil || q <= 0 || p <= 0 {
		return 0
	}
	return q / p
}
