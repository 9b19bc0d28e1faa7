// Package ctranslate2 runs encoder-decoder Transformer models stored in
// CTranslate2's format, with CTranslate2's own arithmetic and decoding rules.
//
// Open maps model.bin into memory and uses its weights in place. TranslateBatch
// takes tokens and returns tokens; text, languages and tokenizers are not this
// package's business. All sequences of all callers share one decoding batch:
// they join and leave it at every step (see engine.go), and what a sequence
// yields does not depend on who shares the batch.
//
// The format and the decoding rules follow CTranslate2 4.8
// (https://github.com/OpenNMT/CTranslate2); its vocabulary of names is kept:
// Variable, scope, ComputeType, Dense, LayerNorm, MultiHeadAttention,
// FeedForwardNetwork, memory, Hypothesis, TargetPrefix.
package ctranslate2
