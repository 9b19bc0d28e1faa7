package ctranslate2

// Reserved returns how many pages of the cache are promised to sequences.
func (t *Translator) Reserved() int {
	a := t.engine.arena
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.reserved
}
