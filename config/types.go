package config

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// Secret is a value that is never printed: its String is "(set)" or empty. Reveal gives the value itself.
type Secret string

// String hides the value, in fmt and in logs.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "(set)"
}

// UnmarshalText takes the value without the spaces and line ends around it, which files and Kubernetes secrets often
// have and no header can carry. A blank one is refused: taken as not set, it would open what it was to protect.
func (s *Secret) UnmarshalText(text []byte) error {
	*s = Secret(strings.TrimSpace(string(text)))
	if *s == "" {
		return errors.New("config: a blank secret")
	}
	return nil
}

// MarshalText hides the value in JSON and other encodings.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// GoString hides the value from %#v.
func (s Secret) GoString() string { return strconv.Quote(s.String()) }

// Reveal returns the hidden value.
func (s Secret) Reveal() string { return string(s) }

// Redacted is an address for people to read: without its password.
func Redacted(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "(not an address)"
	}
	return u.Redacted()
}

// parseBool takes what huggingface_hub takes, in any case, and what strconv.ParseBool does.
func parseBool(text string) (any, error) {
	switch strings.ToLower(text) {
	case "1", "t", "true", "yes", "on":
		return true, nil
	case "0", "f", "false", "no", "off":
		return false, nil
	}
	return nil, fmt.Errorf("config: %q is not a boolean", text)
}

// Bytes is a size such as "512", "64MB" (powers of 1000) or "64MiB" (powers of 1024).
type Bytes int64

var byteUnits = []struct {
	suffix string
	factor int64
}{
	{"kib", 1 << 10}, {"mib", 1 << 20}, {"gib", 1 << 30},
	{"kb", 1e3}, {"mb", 1e6}, {"gb", 1e9},
	{"k", 1 << 10}, {"m", 1 << 20}, {"g", 1 << 30}, {"b", 1},
}

// UnmarshalText parses a size; suffixes are case-insensitive.
func (b *Bytes) UnmarshalText(text []byte) error {
	number, factor := strings.ToLower(strings.TrimSpace(string(text))), int64(1)
	for _, unit := range byteUnits {
		if rest, found := strings.CutSuffix(number, unit.suffix); found {
			number, factor = strings.TrimSpace(rest), unit.factor
			break
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 0 || n > (1<<62)/factor {
		return fmt.Errorf("config: %q is not a size such as 64MiB", text)
	}
	*b = Bytes(n * factor)
	return nil
}

// String prints the size in the largest binary unit that divides it.
func (b Bytes) String() string {
	for _, unit := range []struct {
		factor Bytes
		suffix string
	}{{1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if b != 0 && b%unit.factor == 0 {
			return strconv.FormatInt(int64(b/unit.factor), 10) + unit.suffix
		}
	}
	return strconv.FormatInt(int64(b), 10)
}
