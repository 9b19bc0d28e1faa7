package hubtest

import (
	"net/http"
	"regexp"
	"time"
)

// A Fault is what goes wrong with a request. Parts may be combined.
type Fault struct {
	Times int // how many requests it meets; 0: all

	Before func()        // called first, such as one that moves a reference
	Delay  time.Duration // before the answer's header

	// Status answers with that status, Header and Body and nothing else.
	Status int
	Header map[string]string // such as Retry-After
	Body   string

	BytesPerSecond int   // the body's pace
	CutAfter       int64 // the connection breaks after that many bytes of the body
	StallAfter     int64 // nothing more comes after that many bytes of the body
	WrongBytes     bool  // the body has the right length and another content
	IgnoreRange    bool  // the whole file comes for a part of it
}

type fault struct {
	Fault
	path *regexp.Regexp
	left int
}

// Fault makes requests whose escaped path matches a regular expression go wrong,
// until it has met as many as it says. The first one that matches counts.
//
// Paths are /api/models/REPO/revision/REV, /api/models/REPO/tree/SHA,
// /REPO/resolve/SHA/FILE, for files that are not in LFS then
// /api/resolve-cache/models/REPO/SHA/FILE, and on the other host
// /storage/REPO/SHA256/FILE.
func (s *Server) Fault(path string, f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &fault{f, regexp.MustCompile(path), f.Times})
}

// Heal removes all faults.
func (s *Server) Heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// take returns the fault that a request meets.
func (s *Server) take(path string) (Fault, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.faults {
		if !f.path.MatchString(path) || f.Times > 0 && f.left == 0 {
			continue
		}
		f.left--
		return f.Fault, true
	}
	return Fault{}, false
}

// writer is an answer that goes wrong.
type writer struct {
	http.ResponseWriter
	request *http.Request
	closed  <-chan struct{}
	begun   func(status int) // called when the header goes out
	fault   Fault
	status  int
	sent    int64
}

// apply starts a fault and reports whether that was the answer already.
func (w *writer) apply(f Fault) bool {
	w.fault = f
	if f.Before != nil {
		f.Before()
	}
	if f.Delay > 0 {
		w.wait(f.Delay)
	}
	if f.IgnoreRange {
		w.request.Header.Del("Range")
	}
	if f.Status == 0 {
		return false
	}
	for k, v := range f.Header {
		w.Header().Set(k, v)
	}
	w.WriteHeader(f.Status)
	_, _ = w.Write([]byte(f.Body))
	return true
}

// wait waits no longer than the client and the server are there.
func (w *writer) wait(d time.Duration) {
	select {
	case <-time.After(d):
	case <-w.request.Context().Done():
		panic(http.ErrAbortHandler)
	case <-w.closed:
		panic(http.ErrAbortHandler)
	}
}

func (w *writer) WriteHeader(status int) {
	w.status = status
	w.begun(status)
	w.ResponseWriter.WriteHeader(status)
}

// Write sends a part of the body, as badly as the fault says.
func (w *writer) Write(data []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.status >= 300 { // the body of a redirect or an error is not what the fault is about
		return w.ResponseWriter.Write(data)
	}
	done := 0
	for done < len(data) {
		part := data[done:]
		if w.fault.BytesPerSecond > 0 {
			part = part[:min(len(part), max(1, w.fault.BytesPerSecond/100))]
			w.wait(time.Duration(len(part)) * time.Second / time.Duration(w.fault.BytesPerSecond))
		}
		n, err := w.ResponseWriter.Write(w.changed(part))
		done += n
		w.sent += int64(n)
		if err != nil {
			return done, err
		}
		w.flushOrBreak()
	}
	return done, nil
}

// changed is the part of the body that is sent for part.
func (w *writer) changed(part []byte) []byte {
	for _, end := range []int64{w.fault.CutAfter, w.fault.StallAfter} {
		if end > 0 {
			part = part[:min(int64(len(part)), end-w.sent)]
		}
	}
	if !w.fault.WrongBytes {
		return part
	}
	wrong := make([]byte, len(part))
	for i, b := range part {
		wrong[i] = b ^ 0x55
	}
	return wrong
}

// flushOrBreak ends the answer where the fault says so.
func (w *writer) flushOrBreak() {
	f := w.fault
	if f.BytesPerSecond == 0 && f.CutAfter == 0 && f.StallAfter == 0 {
		return
	}
	_ = http.NewResponseController(w.ResponseWriter).Flush()
	if f.CutAfter > 0 && w.sent >= f.CutAfter {
		panic(http.ErrAbortHandler)
	}
	if f.StallAfter > 0 && w.sent >= f.StallAfter {
		w.wait(time.Hour)
	}
}
