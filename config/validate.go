package config

import (
	"cmp"
	"fmt"
	"net/netip"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// validate checks the tags of each field that is set and then the rules that a tag can't say.
func validate(cfg *Config, sources map[string]string) []string {
	var mistakes []string
	value := reflect.ValueOf(cfg).Elem()
	for i := range value.NumField() {
		field := value.Type().Field(i)
		name := field.Tag.Get("env")
		if _, set := sources[name]; !set {
			continue
		}
		if problem := checkTags(field.Tag, value.Field(i)); problem != "" {
			mistakes = append(mistakes, sources[name]+": "+problem)
		}
	}
	return append(mistakes, checkRules(cfg, sources)...)
}

func checkTags(tag reflect.StructTag, value reflect.Value) string {
	if allowed, ok := tag.Lookup("oneof"); ok {
		choices := strings.Fields(allowed)
		if !slices.Contains(choices, strings.ToLower(value.String())) {
			return fmt.Sprintf("must be one of %s, got %q", strings.Join(choices, ", "), value.String())
		}
	}
	if _, ok := tag.Lookup("address"); ok && !isHTTP(value.String()) {
		return "must be an address such as https://huggingface.co" // the value may hold a password
	}
	if least, ok := tag.Lookup("min"); ok && value.Int() < number(least, value.Type()) {
		return fmt.Sprintf("must be at least %s, got %v", least, value.Interface())
	}
	if most, ok := tag.Lookup("max"); ok && value.Int() > number(most, value.Type()) {
		return fmt.Sprintf("must be at most %s, got %v", most, value.Interface())
	}
	return ""
}

func isHTTP(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https")
}

// number reads a bound in the unit of the field's type. A bound that doesn't parse is a mistake in this package, and
// the tests read them all.
func number(bound string, t reflect.Type) int64 {
	switch t {
	case reflect.TypeFor[time.Duration]():
		d, _ := time.ParseDuration(bound)
		return int64(d)
	case reflect.TypeFor[Bytes]():
		var b Bytes
		_ = b.UnmarshalText([]byte(bound))
		return int64(b)
	}
	n, _ := strconv.ParseInt(bound, 10, 64)
	return n
}

// checkRules checks what concerns several fields or a field's syntax.
func checkRules(cfg *Config, sources map[string]string) []string {
	var mistakes []string
	fail := func(name, format string, args ...any) {
		mistakes = append(mistakes, cmp.Or(sources[name], name)+": "+fmt.Sprintf(format, args...))
	}
	if cfg.CORSCredentials && slices.Contains(cfg.CORSOrigins, "*") {
		fail("CORS_CREDENTIALS", "can't be true while CORS_ORIGINS allows *; list the origins")
	}
	for _, origin := range cfg.CORSOrigins {
		if u, err := url.Parse(origin); origin != "*" && (err != nil || u.Scheme == "" || u.Host == "" || u.Path != "") {
			fail("CORS_ORIGINS", "%q is not an origin such as https://example.org", origin)
		}
	}
	if problem := checkProxies(cfg.TrustedProxies); problem != "" {
		fail("TRUSTED_PROXIES", "%s", problem)
	}
	if _, err := redis.ParseURL(cfg.RedisURL.Reveal()); cfg.RedisURL != "" && err != nil { // the error may show the password
		fail("REDIS_URL", "must be an address such as redis://user:password@host:6379/0, rediss://host or unix:///path; a / in the password is written %%2F, and so on")
	}
	if cfg.MaxBeamSize > 0 && cfg.BeamSize > cfg.MaxBeamSize {
		fail("BEAM_SIZE", "%d is over MAX_BEAM_SIZE %d", cfg.BeamSize, cfg.MaxBeamSize)
	}
	return mistakes
}

// checkProxies accepts a preset's name, a hop count, or CIDRs and addresses.
func checkProxies(value string) string {
	if value == "" || value == "huggingface" {
		return ""
	}
	if hops, err := strconv.Atoi(value); err == nil {
		if hops < 0 || hops > 16 {
			return fmt.Sprintf("%d hops; must be 0 to 16", hops)
		}
		return ""
	}
	for _, part := range strings.Split(value, ",") {
		part = strings.TrimSpace(part)
		if _, err := netip.ParsePrefix(part); err == nil {
			continue
		}
		if _, err := netip.ParseAddr(part); err != nil {
			return fmt.Sprintf("%q is neither a CIDR, a number of hops nor huggingface", part)
		}
	}
	return ""
}
