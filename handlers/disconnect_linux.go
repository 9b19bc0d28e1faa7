package handlers

import "golang.org/x/sys/unix"

// hungUp reports whether a socket's peer has closed it, for good or for writing, whatever is still to be read.
func hungUp(fd int) bool {
	events := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
	n, err := unix.Poll(events, 0)
	return err == nil && n > 0
}
