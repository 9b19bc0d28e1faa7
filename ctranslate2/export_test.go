package ctranslate2

import "time"

// SetTrimAfter changes when idle memory is given back, for translators that are
// opened later. The function that it returns changes it back.
func SetTrimAfter(d time.Duration) func() {
	before := trimAfter
	trimAfter = d
	return func() { trimAfter = before }
}

// Touched returns how much of the cache is in memory, in bytes, in huge pages.
func (t *Translator) Touched() int {
	a := t.engine.arena
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.advised
}

// Reserved returns how many pages of the cache are promised to sequences.
func (t *Translator) Reserved() int {
	a := t.engine.arena
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.reserved
}
