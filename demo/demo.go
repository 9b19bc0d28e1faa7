// Package demo carries small models in the binary, so that Sema answers without
// network and without a download: English, Swahili and French everyday
// sentences, and a language detector. See MODEL_CARD.md for what they can do
// and how they were made; nobody needs Python to build.
package demo

import (
	"embed"
	"io/fs"
)

//go:embed models
var models embed.FS

// Revision names the generation of the embedded models.
const Revision = "demo"

// Models returns the models, in the folders of a repository such as
// sematech/sema-utils.
func Models() fs.FS {
	sub, err := fs.Sub(models, "models")
	if err != nil {
		panic("demo: " + err.Error()) // the folder is part of the binary
	}
	return sub
}
