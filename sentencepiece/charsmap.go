package sentencepiece

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// maxReplacement bounds what one rule of a charsmap may write, so that a
// hostile model cannot turn a short text into a huge one. The longest rule of
// the standard normalizations writes 33 bytes.
const maxReplacement = 1024

// charsmap is a precompiled normalization: rules that replace one byte string
// with another, in a double array in the format of Darts-clone. Its layout is a
// uint32 with the size of the array in bytes, the array of little-endian uint32
// units, then the replacements, each ended by a NUL.
//
// A unit is either a leaf with a value (bit 31 set, the offset of a replacement
// below) or a node with a label, an offset and a bit that says that it has a
// leaf. parseCharsmap proves once that no step from any unit leaves the array.
type charsmap struct {
	units        []charsmapUnit
	replacements string
}

type charsmapUnit uint32

// label is the byte that leads to the unit; over 0xff for a leaf.
func (u charsmapUnit) label() uint32  { return uint32(u) & (1<<31 | 0xff) }
func (u charsmapUnit) isLeaf() bool   { return u>>31 == 1 }
func (u charsmapUnit) value() uint32  { return uint32(u) & (1<<31 - 1) }
func (u charsmapUnit) hasLeaf() bool  { return u>>8&1 == 1 }
func (u charsmapUnit) offset() uint32 { return uint32(u) >> 10 << (u & (1 << 9) >> 6) }

// parseCharsmap reads and checks a precompiled_charsmap.
func parseCharsmap(data string) (*charsmap, error) {
	if len(data) < 4 {
		return nil, errors.New("charsmap is truncated")
	}
	size := uint64(binary.LittleEndian.Uint32([]byte(data[:4])))
	data = data[4:]
	if size == 0 || size%1024 != 0 || size >= uint64(len(data)) {
		return nil, fmt.Errorf("charsmap has an array of %d bytes in %d", size, len(data))
	}
	c := &charsmap{units: make([]charsmapUnit, size/4), replacements: data[size:]}
	for i := range c.units {
		c.units[i] = charsmapUnit(binary.LittleEndian.Uint32([]byte(data[4*i : 4*i+4])))
	}
	if err := c.checkReplacements(); err != nil {
		return nil, err
	}
	return c, c.checkUnits()
}

func (c *charsmap) checkReplacements() error {
	if !strings.HasSuffix(c.replacements, "\x00") {
		return errors.New("charsmap's replacements don't end with a NUL")
	}
	for r := range strings.SplitSeq(c.replacements, "\x00") {
		if len(r) > maxReplacement {
			return fmt.Errorf("charsmap has a replacement of %d bytes, more than the %d allowed", len(r), maxReplacement)
		}
	}
	return nil
}

func (c *charsmap) checkUnits() error {
	root := c.units[0]
	if root.label() != 0 || root.hasLeaf() || root.offset() == 0 {
		return errors.New("charsmap has a bad root")
	}
	for i, u := range c.units {
		if u.isLeaf() {
			if uint64(u.value()) >= uint64(len(c.replacements)) {
				return fmt.Errorf("charsmap unit %d points outside the replacements", i)
			}
			continue
		}
		child := uint32(i) ^ u.offset()
		if uint64(child|0xff) >= uint64(len(c.units)) {
			return fmt.Errorf("charsmap unit %d points outside the array", i)
		}
		if u.hasLeaf() && !c.units[child].isLeaf() {
			return fmt.Errorf("charsmap unit %d has no leaf where it says", i)
		}
	}
	return nil
}

// maxRule is how many bytes the left side of a rule may have: in a damaged file
// units lead in circles. The longest of the standard rules has 12.
const maxRule = 1024

// match applies the rule with the longest left side that text starts with. It
// returns the replacement and the bytes of text that it stands for, 0 if no
// rule matches.
func (c *charsmap) match(text string) (replacement string, size int) {
	var value uint32
	pos := c.units[0].offset()
	for i := 0; i < min(len(text), maxRule); i++ {
		pos ^= uint32(text[i])
		u := c.units[pos]
		if u.label() != uint32(text[i]) {
			break
		}
		pos ^= u.offset()
		if u.hasLeaf() {
			value, size = c.units[pos].value(), i+1
		}
	}
	if size == 0 {
		return "", 0
	}
	replacement = c.replacements[value:]
	return replacement[:strings.IndexByte(replacement, 0)], size
}

// rewritesASCII reports whether a rule starts with the ASCII character b and
// could apply to it alone or with another ASCII character after it.
func (c *charsmap) rewritesASCII(b byte) bool {
	pos := c.units[0].offset() ^ uint32(b)
	u := c.units[pos]
	if u.label() != uint32(b) {
		return false
	}
	pos ^= u.offset()
	if u.hasLeaf() {
		return true
	}
	for next := range uint32(0x80) {
		if c.units[pos^next].label() == next {
			return true
		}
	}
	return false
}
