package sentencepiece_test

import (
	"fmt"
	"log"

	"github.com/sematech/sema/sentencepiece"
)

func Example() {
	// The content of a .model file, here one with a handful of pieces.
	p, err := sentencepiece.Parse(tinyModel())
	if err != nil {
		log.Fatal(err)
	}
	pieces := p.Encode("ab zz a")
	fmt.Printf("%q\n", pieces)
	fmt.Println(p.EncodeIDs("ab zz a"))
	fmt.Println(p.Decode([]string{"<s>", "▁ab", "▁a"}))
	// Output:
	// ["▁ab" "▁" "zz" "▁a"]
	// [7 2 0 5]
	// ab a
}
