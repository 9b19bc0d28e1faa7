package handlers

import (
	"context"
	"encoding/binary"
	"encoding/json"

	"github.com/sematech/sema/translate"
)

// Cache remembers results. Do returns what is known under key or else what produce returns, which it may share between
// callers that ask for the same key at once; hit names where the value was found, "" if it was made.
type Cache interface {
	Do(ctx context.Context, key string, produce func(context.Context) ([]byte, error)) (value []byte, hit string, err error)
	// Bytes is what it holds now.
	Bytes() int64
}

// cachedTranslate asks the cache before the model. Streams bypass it: their callbacks must run.
func (s *service) cachedTranslate(ctx context.Context, model Model, request translate.Request) (translate.Result, error) {
	if s.Cache == nil || request.OnSegment != nil || request.OnText != nil {
		return model.Translate(ctx, request)
	}
	encoded, hit, err := s.Cache.Do(ctx, cacheKey(model.Version, request), func(ctx context.Context) ([]byte, error) {
		result, err := model.Translate(ctx, request)
		if err != nil {
			return nil, err
		}
		return json.Marshal(result)
	})
	if err != nil {
		return translate.Result{}, err
	}
	s.metrics.Cache(hit)
	var result translate.Result
	err = json.Unmarshal(encoded, &result)
	if hit != "" {
		result.Tokenize, result.Inference, result.Tokens = 0, 0, 0
	}
	return result, err
}

// cacheKey is unambiguous: each part comes with its length. The model's version is a part, so that a new model never
// answers with an old one's words.
func cacheKey(version string, r translate.Request) string {
	key := binary.AppendUvarint(nil, uint64(r.BeamSize))
	for _, part := range []string{version, r.Source, r.Target, r.Text} {
		key = append(binary.AppendUvarint(key, uint64(len(part))), part...)
	}
	return string(key)
}
