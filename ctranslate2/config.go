package ctranslate2

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
)

// modelConfig is config.json.
type modelConfig struct {
	AddSourceBOS bool    `json:"add_source_bos"`
	AddSourceEOS bool    `json:"add_source_eos"`
	BOSToken     string  `json:"bos_token"`
	EOSToken     string  `json:"eos_token"`
	UnkToken     string  `json:"unk_token"`
	DecoderStart *string `json:"decoder_start_token"` // nil: the caller gives it in the target prefix

	LayerNormEpsilon *float32 `json:"layer_norm_epsilon"`
	QuantizationType *int     `json:"quantization_type"`
}

// loadConfig reads config.json. Models before binary version 6 may have none:
// their special tokens are attributes in model.bin (see legacyConfig).
func loadConfig(fsys fs.FS) (*modelConfig, error) {
	c := &modelConfig{}
	data, err := fs.ReadFile(fsys, "config.json")
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(data, c); err != nil {
		return nil, fmt.Errorf("%w: config.json: %v", ErrInvalidModel, err)
	}
	if c.QuantizationType != nil && *c.QuantizationType != 0 {
		return nil, fmt.Errorf("%w: quantization_type %d (AWQ) is not supported", ErrInvalidModel, *c.QuantizationType)
	}
	return c, nil
}

// legacyConfig takes the special tokens from the attributes of a model before
// binary version 6.
func (c *modelConfig) legacyConfig(s scope) {
	c.UnkToken = s.text("unk_token", "<unk>")
	c.BOSToken = s.text("bos_token", "<s>")
	c.EOSToken = s.text("eos_token", "</s>")
	c.AddSourceBOS = s.flag("with_source_bos", false)
	c.AddSourceEOS = s.flag("with_source_eos", false)
	user, bos := s.flag("user_decoder_start_tokens", false), s.flag("with_target_bos", true)
	switch {
	case user:
		c.DecoderStart = nil
	case bos:
		c.DecoderStart = &c.BOSToken
	default:
		c.DecoderStart = &c.EOSToken
	}
}

// check says which special token config.json fails to name.
func (c *modelConfig) check() error {
	for name, token := range map[string]string{"bos_token": c.BOSToken, "eos_token": c.EOSToken, "unk_token": c.UnkToken} {
		if token == "" {
			return fmt.Errorf("%w: config.json has no %s", ErrInvalidModel, name)
		}
	}
	return nil
}
