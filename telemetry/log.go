package telemetry

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/sirupsen/logrus"
	"golang.org/x/term"
)

// Fields of a log line, as the original service names them. The message is under "event".
const (
	FieldRequestID     = "request_id"
	FieldSource        = "source_language"
	FieldTarget        = "target_language"
	FieldCharacters    = "character_count"
	FieldInferenceTime = "inference_time"
	FieldTotalTime     = "total_time"
	FieldClientIP      = "client_ip"
)

// NewLogger returns a logger that writes to out. level is one of logrus' names or "critical"; format is "json", "text",
// or "auto", which means text on a terminal and JSON elsewhere.
func NewLogger(out io.Writer, level, format string) (*logrus.Logger, error) {
	if strings.EqualFold(level, "critical") {
		level = "fatal"
	}
	parsed, err := logrus.ParseLevel(level)
	if err != nil {
		return nil, fmt.Errorf("telemetry: log level %q: %w", level, err)
	}
	logger := logrus.New()
	logger.SetOutput(out)
	logger.SetLevel(parsed)
	logger.SetFormatter(utc{formatter(out, format)})
	return logger, nil
}

func formatter(out io.Writer, format string) logrus.Formatter {
	if format == "text" || format == "auto" && isTerminal(out) {
		return &logrus.TextFormatter{FullTimestamp: true, TimestampFormat: "15:04:05.000"}
	}
	return &logrus.JSONFormatter{
		TimestampFormat:   "2006-01-02T15:04:05.000Z07:00",
		DisableHTMLEscape: true,
		FieldMap:          logrus.FieldMap{logrus.FieldKeyTime: "timestamp", logrus.FieldKeyMsg: "event"},
	}
}

func isTerminal(out io.Writer) bool {
	file, ok := out.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// utc stamps lines in UTC, so that the logs of machines in different zones sort together.
type utc struct{ logrus.Formatter }

// Format implements logrus.Formatter.
func (f utc) Format(entry *logrus.Entry) ([]byte, error) {
	entry.Time = entry.Time.UTC()
	return f.Formatter.Format(entry)
}
