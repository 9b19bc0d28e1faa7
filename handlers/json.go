package handlers

import (
	"encoding/json"
	"errors"
	"math"
	"mime"
	"strings"
	"unicode/utf8"

	"github.com/gofiber/fiber/v2"
)

// decodeJSON reads the body into out, which must be a pointer to a struct. Unknown fields are ignored, as clients of
// other versions send them. The error says where the body is malformed or which field has a wrong type.
func decodeJSON(c *fiber.Ctx, out any) error {
	if !isJSON(c.Get(fiber.HeaderContentType)) {
		return fail(typeMediaType, "the body must be JSON, with Content-Type: application/json")
	}
	return unmarshal(c.Request().Body(), out)
}

func isJSON(contentType string) bool {
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && (media == fiber.MIMEApplicationJSON || strings.HasSuffix(media, "+json"))
}

func unmarshal(body []byte, out any) error {
	if offset := invalidUTF8(body); offset >= 0 {
		return malformed("the body is not valid UTF-8", int64(offset))
	}
	err := json.Unmarshal(body, out)
	var syntax *json.SyntaxError
	var wrongType *json.UnmarshalTypeError
	var own *Error
	switch {
	case err == nil:
		return requireObject(body)
	case errors.As(err, &own):
		return own
	case errors.As(err, &syntax):
		return malformed(syntax.Error(), syntax.Offset)
	case errors.As(err, &wrongType):
		return wrongTypeError(wrongType)
	}
	return malformed(err.Error(), 0)
}

// requireObject refuses null, which json.Unmarshal takes for "no change".
func requireObject(body []byte) error {
	if strings.HasPrefix(strings.TrimLeft(string(body[:min(len(body), 64)]), " \t\r\n"), "null") {
		return fail(typeValidation, "the body must be a JSON object, not null", Detail{Field: "body", Message: "must be an object"})
	}
	return nil
}

func malformed(message string, offset int64) error {
	return fail(typeMalformed, "the body is not well-formed JSON: "+message, Detail{Field: "body", Message: message, Offset: &offset})
}

func wrongTypeError(err *json.UnmarshalTypeError) error {
	field := err.Field
	if field == "" {
		field = "body"
	}
	if number, found := strings.CutPrefix(err.Value, "number "); found { // of the right type, but none that fits
		return invalid(field, "%s is out of range", excerpt(number))
	}
	return invalid(field, "must be %s, not %s", typeName(err.Type.Kind().String()), err.Value)
}

// typeName is JSON's word for a Go kind.
func typeName(kind string) string {
	switch {
	case strings.HasPrefix(kind, "int"):
		return "an integer"
	case strings.HasPrefix(kind, "float"):
		return "a number"
	case kind == "slice":
		return "an array"
	case kind == "struct" || kind == "map":
		return "an object"
	case kind == "bool":
		return "true or false"
	}
	return "a " + kind
}

// texts is an array of strings in which null is a mistake, not an empty string.
type texts []string

// UnmarshalJSON implements json.Unmarshaler. Of several arrays under one key the last counts, as with other types.
func (t *texts) UnmarshalJSON(data []byte) error {
	var items []*string
	if err := json.Unmarshal(data, &items); err != nil {
		var wrongType *json.UnmarshalTypeError
		if errors.As(err, &wrongType) {
			return invalid("texts", "must be an array of strings, not of %s", wrongType.Value)
		}
		return err
	}
	*t = make(texts, len(items))
	for i, item := range items {
		if item == nil {
			return invalid("texts", "must not hold null (item %d)", i)
		}
		(*t)[i] = *item
	}
	return nil
}

// number is an optional JSON number. JSON doesn't tell 1 from 1.0, so integers come as numbers and are checked after.
type number *float64

// integer returns a number that must be whole and from 1 to most, or standard if none is given.
func integer(field string, value number, standard, most int) (int, error) {
	if value == nil {
		return standard, nil
	}
	if *value != math.Trunc(*value) || *value < 1 || *value > float64(most) {
		return 0, invalid(field, "must be an integer between 1 and %d", most)
	}
	return int(*value), nil
}

// invalidUTF8 returns the offset of the first byte that is not UTF-8, or -1.
func invalidUTF8(b []byte) int {
	for i := 0; i < len(b); {
		if b[i] < utf8.RuneSelf {
			i++
			continue
		}
		r, size := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return -1
}
