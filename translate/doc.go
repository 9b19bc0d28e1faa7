// Package translate is the pipeline from text to text: it splits a text into
// sentences, detects its language, tokenizes, runs the model, and joins the
// translations again with all that was between the sentences.
//
// Open makes a Pipeline from a folder with a CTranslate2 model, its
// SentencePiece model and a fastText language identifier. The kind of model is
// recognised from its vocabulary and decides how languages are named to it; see
// framing.go.
package translate
