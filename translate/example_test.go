package translate_test

import (
	"fmt"

	"github.com/sematech/sema/translate"
)

// Split cuts a text into what goes to the model and what stays outside.
func ExampleSplit() {
	text := "- Dr. Smith is here. Who?\n- 42 https://example.com\n"
	for _, s := range translate.Split(text, "eng_Latn") {
		fmt.Println([]string{"separator", "verbatim", "sentence"}[s.Kind], fmt.Sprintf("%q", text[s.Start:s.End]))
	}
	// Output:
	// separator "- "
	// sentence "Dr. Smith is here."
	// separator " "
	// sentence "Who?"
	// separator "\n- "
	// verbatim "42 https://example.com"
	// separator "\n"
}
