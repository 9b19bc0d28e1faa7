package config

import (
	_ "embed"
	"fmt"
	"io"
	"reflect"
	"strings"
	"text/tabwriter"
)

// Row is one variable as `sema config` prints it.
type Row struct {
	Name   string // bare name, "PORT"
	Value  string // value in force; a secret is "(set)" or empty
	Source string // "SEMA_PORT", "PORT" or "default"
	Doc    string
}

// Table says for each variable what is in force and what set it. cfg must come from Load with the same environ.
func Table(cfg Config, environ []string) []Row {
	_, sources := resolve(environ)
	value := reflect.ValueOf(cfg)
	rows := make([]Row, value.NumField())
	for i := range rows {
		tag := value.Type().Field(i).Tag
		rows[i] = Row{Name: tag.Get("env"), Value: format(tag, value.Field(i)), Source: "default", Doc: tag.Get("doc")}
		if source, set := sources[rows[i].Name]; set {
			rows[i].Source = source
		}
	}
	return rows
}

// others are the variables that count besides Config's: those of Python's client for the Hub, and the proxies'.
var others = []string{
	"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "XDG_CACHE_HOME", "HF_TOKEN_PATH", "TRANSFORMERS_OFFLINE",
	"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy",
}

// otherVariables describes them in docs/configuration.md.
//
//go:embed others.md
var otherVariables string

// Print writes the table of what is in force, one aligned line a variable, and after it those of others that are set.
func Print(w io.Writer, cfg Config, environ []string) error {
	out := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(out, "VARIABLE\tVALUE\tFROM")
	for _, row := range Table(cfg, environ) {
		fmt.Fprintf(out, "%s\t%s\t%s\n", row.Name, row.Value, row.Source)
	}
	for _, name := range others {
		if value, source := Lookup(environ, name); source != "" {
			fmt.Fprintf(out, "%s\t%s\t%s\n", name, withoutLogin(value), source)
		}
	}
	return out.Flush()
}

// withoutLogin hides an address with a name and a password, which a proxy's may be, with a scheme or without.
func withoutLogin(value string) string {
	if strings.Contains(value, "@") {
		return Secret(value).String()
	}
	return value
}

// Document writes the Markdown table of all variables.
func Document(w io.Writer) error {
	var b strings.Builder
	b.WriteString("# Configuration\n\nMade from the Config struct by `go generate ./config`; don't edit. Each variable also has a\n" +
		"twin with the prefix `SEMA_` (`SEMA_PORT`), which wins when both are set. `sema config` prints what is in force.\n" +
		"Booleans may also be 1, yes and on, or 0, no and off, in any case. Secrets lose the spaces and line ends around them.\n\n" +
		"| variable | default | allowed | meaning |\n|---|---|---|---|\n")
	t := reflect.TypeFor[Config]()
	for i := range t.NumField() {
		tag := t.Field(i).Tag
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", tag.Get("env"), code(tag.Get("envDefault")), allowed(t.Field(i)), tag.Get("doc"))
	}
	b.WriteString(otherVariables)
	_, err := io.WriteString(w, b.String())
	return err
}

func code(s string) string {
	if s == "" {
		return ""
	}
	return "`" + s + "`"
}

func allowed(field reflect.StructField) string {
	if choices := field.Tag.Get("oneof"); choices != "" {
		return strings.ReplaceAll(choices, " ", ", ")
	}
	least, most := field.Tag.Get("min"), field.Tag.Get("max")
	switch {
	case least != "" && most != "":
		return least + " to " + most
	case least != "":
		return "≥ " + least
	case field.Tag.Get("address") != "":
		return "http or https address"
	case field.Type == reflect.TypeFor[Secret]():
		return "secret"
	case field.Type.Kind() == reflect.Bool:
		return "true, false"
	}
	return ""
}

func format(tag reflect.StructTag, value reflect.Value) string {
	if tag.Get("address") != "" {
		return Redacted(value.String())
	}
	if list, ok := value.Interface().([]string); ok {
		return strings.Join(list, ",")
	}
	return fmt.Sprint(value.Interface())
}
