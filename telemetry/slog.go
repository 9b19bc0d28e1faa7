package telemetry

import (
	"context"
	"log/slog"
	"slices"

	"github.com/sirupsen/logrus"
)

// Slog returns a logger for packages that log with log/slog; its lines go to log.
func Slog(log *logrus.Logger) *slog.Logger { return slog.New(slogHandler{log: log}) }

// slogHandler writes slog's records as logrus' entries.
type slogHandler struct {
	log   *logrus.Logger
	attrs []slog.Attr
}

var levels = map[slog.Level]logrus.Level{slog.LevelDebug: logrus.DebugLevel, slog.LevelInfo: logrus.InfoLevel, slog.LevelWarn: logrus.WarnLevel, slog.LevelError: logrus.ErrorLevel}

// Enabled implements slog.Handler.
func (h slogHandler) Enabled(_ context.Context, l slog.Level) bool {
	return h.log.IsLevelEnabled(levels[l])
}

// Handle implements slog.Handler.
func (h slogHandler) Handle(_ context.Context, r slog.Record) error {
	fields := logrus.Fields{}
	add := func(a slog.Attr) bool {
		fields[a.Key] = a.Value.Resolve().Any()
		return true
	}
	for _, a := range h.attrs {
		add(a)
	}
	r.Attrs(add)
	h.log.WithFields(fields).Log(levels[r.Level], r.Message)
	return nil
}

// WithAttrs implements slog.Handler.
func (h slogHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return slogHandler{h.log, append(slices.Clone(h.attrs), attrs...)}
}

// WithGroup implements slog.Handler. Fields are flat: groups are left out.
func (h slogHandler) WithGroup(string) slog.Handler { return h }
