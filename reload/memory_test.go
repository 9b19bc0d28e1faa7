package reload_test

import (
	"testing"
	"testing/fstest"

	"github.com/sematech/sema/reload"
)

// TestFreeMemory reads systems as files show them.
func TestFreeMemory(t *testing.T) {
	const mib = 1 << 20
	for name, test := range map[string]struct {
		files map[string]string
		want  int64
		known bool
	}{
		"nothing":       {nil, 0, false},
		"no group":      {map[string]string{"proc/meminfo": "MemTotal: 4096 kB\nMemAvailable: 2048 kB\n"}, 2 * mib, true},
		"no limit":      {map[string]string{"proc/meminfo": "MemAvailable: 2048 kB\n", "sys/fs/cgroup/memory.max": "max\n", "sys/fs/cgroup/memory.current": "1\n"}, 2 * mib, true},
		"container, v2": {map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "1048576\n", "sys/fs/cgroup/memory.current": "524288\n", "sys/fs/cgroup/memory.stat": "anon 1\nfile 262144\nshmem 131072\n"}, mib/2 + mib/8, true},
		"group above": {map[string]string{
			"proc/self/cgroup": "0::/a/b\n", "proc/meminfo": "MemAvailable: 9000000 kB\n",
			"sys/fs/cgroup/a/memory.max": "1048576\n", "sys/fs/cgroup/a/memory.current": "1048576\n",
			"sys/fs/cgroup/a/b/memory.max": "max\n", "sys/fs/cgroup/a/b/memory.current": "5\n",
		}, 0, true},
		"container, v1": {map[string]string{"sys/fs/cgroup/memory/memory.limit_in_bytes": "1048576\n", "sys/fs/cgroup/memory/memory.usage_in_bytes": "1048000\n", "sys/fs/cgroup/memory/memory.stat": "total_cache 1000\n"}, 1576, true},
		"no limit, v1": {map[string]string{"proc/meminfo": "MemAvailable: 2048 kB\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
			"sys/fs/cgroup/memory/memory.usage_in_bytes": "1000\n", "sys/fs/cgroup/memory/memory.stat": "total_cache 9000\n"}, 2 * mib, true},
		"cache of a moment ago": {map[string]string{"sys/fs/cgroup/memory.max": "1048576\n", "sys/fs/cgroup/memory.current": "1000\n", "sys/fs/cgroup/memory.stat": "file 9000\n"}, mib, true},
		"used up":               {map[string]string{"sys/fs/cgroup/memory.max": "100\n", "sys/fs/cgroup/memory.current": "200\n"}, 0, true},
		"nonsense":              {map[string]string{"proc/meminfo": "MemAvailable: much\n", "sys/fs/cgroup/memory.max": "\n", "sys/fs/cgroup/memory.current": "x"}, 0, false},
	} {
		root := fstest.MapFS{}
		for file, text := range test.files {
			root[file] = &fstest.MapFile{Data: []byte(text)}
		}
		if got, known := reload.FreeMemory(root); got != test.want || known != test.known {
			t.Errorf("%s: %d, %t; want %d, %t", name, got, known, test.want, test.known)
		}
	}
}
