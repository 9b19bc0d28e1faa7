package config

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/caarlos0/env/v11"
)

// Prefix is what a variable's twin starts with.
const Prefix = "SEMA_"

// Error lists every mistake of a configuration.
type Error struct {
	Mistakes []string // "PORT: must be at most 65535, got 70000"
}

// Error prints one mistake a line.
func (e *Error) Error() string {
	return fmt.Sprintf("config: %d mistake(s):\n  - %s", len(e.Mistakes), strings.Join(e.Mistakes, "\n  - "))
}

// Load reads the configuration from environ, in os.Environ's form. All mistakes come back together in an *Error. An
// empty value counts as not set, as container platforms leave variables that nobody filled in.
func Load(environ []string) (Config, error) {
	var cfg Config
	values, sources := resolve(environ)
	mistakes := parse(&cfg, values, sources)
	mistakes = append(mistakes, validate(&cfg, sources)...)
	if len(mistakes) > 0 {
		return Config{}, &Error{Mistakes: mistakes}
	}
	return cfg, nil
}

// Lookup returns the value that environ gives a variable and the name that set it, both "" if none did, whether or not
// the rest of environ is valid. A variable that is none of Config's has no twin.
func Lookup(environ []string, variable string) (value, source string) {
	values, sources := resolve(environ)
	if other := env.ToMap(environ)[variable]; other != "" && !slices.Contains(variables(), variable) {
		return other, variable
	}
	return values[variable], sources[variable]
}

// resolve picks for each variable the twin that is set. sources maps a variable to the name that set it.
func resolve(environ []string) (values, sources map[string]string) {
	given := env.ToMap(environ)
	values, sources = map[string]string{}, map[string]string{}
	for _, name := range variables() {
		for _, candidate := range []string{Prefix + name, name} {
			if value := given[candidate]; value != "" {
				values[name], sources[name] = value, candidate
				break
			}
		}
	}
	return values, sources
}

// parse fills cfg and describes each value that its field's type refuses; those names leave sources, so that validate
// says nothing more of them.
func parse(cfg *Config, values, sources map[string]string) []string {
	err := env.ParseWithOptions(cfg, env.Options{
		Environment: values,
		FuncMap:     map[reflect.Type]env.ParserFunc{reflect.TypeFor[bool](): parseBool},
	})
	if err == nil {
		return nil
	}
	var aggregate env.AggregateError
	if !errors.As(err, &aggregate) {
		return []string{err.Error()}
	}
	mistakes := make([]string, 0, len(aggregate.Errors))
	for _, each := range aggregate.Errors {
		mistakes = append(mistakes, parseMistake(each, values, sources))
	}
	return mistakes
}

func parseMistake(err error, values, sources map[string]string) string {
	var failed env.ParseError
	if !errors.As(err, &failed) {
		return err.Error()
	}
	field, _ := reflect.TypeFor[Config]().FieldByName(failed.Name)
	name := field.Tag.Get("env")
	source := sources[name]
	delete(sources, name)
	return fmt.Sprintf("%s: %q is not a valid %s", source, values[name], kindName(field.Type))
}

func kindName(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[Bytes]():
		return "size (such as 64MiB)"
	case t == reflect.TypeFor[Secret]():
		return "secret (leave it empty for none)"
	case t.Name() == "Duration":
		return "duration (such as 30s or 5m)"
	case t.Kind() == reflect.Bool:
		return "boolean (true or false)"
	case t.Kind() == reflect.Int:
		return "whole number"
	}
	return t.String()
}

// variables lists the bare names in the struct's order.
func variables() []string {
	t := reflect.TypeFor[Config]()
	names := make([]string, t.NumField())
	for i := range names {
		names[i] = t.Field(i).Tag.Get("env")
	}
	return names
}
