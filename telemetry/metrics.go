package telemetry

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/VictoriaMetrics/metrics"
)

// Metrics records what the service does. Its methods are safe to call from concurrent goroutines. Label values must
// come from a bounded set: route patterns, FLORES codes, error types.
type Metrics struct {
	set *metrics.Set
}

// NewMetrics returns an empty set of metrics.
func NewMetrics() *Metrics {
	metrics.ExposeMetadata(true)
	m := &Metrics{set: metrics.NewSet()}
	m.set.NewGauge(memoryUsage, residentBytes)
	for _, name := range []string{charactersTotal, tokensTotal, cancelledTotal, panicsTotal, cacheMissesTotal, downloadBytes} {
		m.set.NewCounter(name) // at 0, lest the first event go unseen by rate()
	}
	m.set.NewPrometheusHistogramExt(detectionDuration, buckets)
	m.set.NewGauge(modelLoadTime, nil)
	return m
}

// Request records one HTTP answer; endpoint is a route pattern.
func (m *Metrics) Request(endpoint string, status int, d time.Duration) {
	m.counter(requestsTotal, "endpoint", endpoint, "status", strconv.Itoa(status)).Inc()
	m.histogram(buckets, requestDuration, "endpoint", endpoint).Update(d.Seconds())
}

// Error records an answered error.
func (m *Metrics) Error(errorType, endpoint string) {
	m.counter(errorsTotal, "error_type", errorType, "endpoint", endpoint).Inc()
}

// Translation records one translated text; source and target are FLORES codes.
func (m *Metrics) Translation(source, target string, characters int, d time.Duration) {
	m.counter(translationsTotal, "source_lang", source, "target_lang", target).Inc()
	m.counter(charactersTotal).Add(characters)
	m.histogram(pairBuckets, translationDuration, "source_lang", source, "target_lang", target).Update(d.Seconds())
}

// Detection records one detection; language is a FLORES code or "undetermined".
func (m *Metrics) Detection(language string, d time.Duration) {
	m.counter(detectionsTotal, "detected_lang", language).Inc()
	m.histogram(buckets, detectionDuration).Update(d.Seconds())
}

// ModelLoad records how long loading the serving model took.
func (m *Metrics) ModelLoad(d time.Duration) { m.gauge(modelLoadTime).Set(d.Seconds()) }

// Model records which model is in use as an info metric; replaces, if not empty, is the revision that no longer is.
func (m *Metrics) Model(name, revision, replaces string) {
	if replaces != "" {
		m.set.UnregisterMetric(series(modelInfo, "model", name, "revision", replaces))
	}
	m.gauge(modelInfo, "model", name, "revision", revision).Set(1)
}

// Reload records the end of a reload; step is the one that failed, empty on success.
func (m *Metrics) Reload(trigger, result, step string) {
	m.counter(reloadsTotal, "trigger", trigger, "result", result, "step", step).Inc()
}

// ReloadStep records how long a step of a reload took.
func (m *Metrics) ReloadStep(step string, d time.Duration) {
	m.histogram(buckets, reloadDuration, "step", step).Update(d.Seconds())
}

// Drain records how long a replaced model took to be released.
func (m *Metrics) Drain(d time.Duration) { m.histogram(buckets, drainDuration).Update(d.Seconds()) }

// HubRequest records one request to the model hub; status is 0 if there was no answer.
func (m *Metrics) HubRequest(status int) {
	m.counter(hubRequestsTotal, "status", strconv.Itoa(status)).Inc()
}

// Downloaded records bytes that came from the model hub.
func (m *Metrics) Downloaded(bytes int64) { m.counter(downloadBytes).AddInt64(bytes) }

// Queue records how long a request waited for admission.
func (m *Metrics) Queue(d time.Duration) { m.histogram(buckets, queueDuration).Update(d.Seconds()) }

// Pipeline records the parts of one translation that the pipeline measured apart.
func (m *Metrics) Pipeline(tokenize, inference time.Duration, segments, tokens int) {
	m.histogram(buckets, tokenizeDuration).Update(tokenize.Seconds())
	m.histogram(buckets, inferDuration).Update(inference.Seconds())
	m.histogram(sizeBuckets, batchSize).Update(float64(segments))
	m.counter(tokensTotal).Add(tokens)
}

// FirstToken records the time to a stream's first event with text.
func (m *Metrics) FirstToken(d time.Duration) {
	m.histogram(buckets, firstTokenTime).Update(d.Seconds())
}

// Cancelled records a request whose client left.
func (m *Metrics) Cancelled() { m.counter(cancelledTotal).Inc() }

// Dropped records a request refused by admission.
func (m *Metrics) Dropped(reason string) { m.counter(droppedTotal, "reason", reason).Inc() }

// RateLimited records a request refused by the window named.
func (m *Metrics) RateLimited(window string) { m.counter(rateLimitedTotal, "window", window).Inc() }

// Cache records a look-up in the result cache; level names where it was found, "" that it was not.
func (m *Metrics) Cache(level string) {
	if level == "" {
		m.counter(cacheMissesTotal).Inc()
		return
	}
	m.counter(cacheHitsTotal, "level", level).Inc()
}

// Panic records a panic turned into a 500.
func (m *Metrics) Panic() { m.counter(panicsTotal).Inc() }

// Gauges are values read at each scrape; nil fields are left out.
type Gauges struct {
	QueueTokens, QueueRequests, ActiveTokens, CacheBytes, ModelReferences func() float64
}

// Watch registers gauges. A second call keeps the first's functions.
func (m *Metrics) Watch(g Gauges) {
	for name, read := range map[string]func() float64{
		queueTokens: g.QueueTokens, queueRequests: g.QueueRequests, activeTokens: g.ActiveTokens,
		cacheBytes: g.CacheBytes, modelReferences: g.ModelReferences,
	} {
		if read != nil {
			m.set.GetOrCreateGauge(name, read)
		}
	}
}

// Write writes all metrics in Prometheus' text format, with HELP and TYPE lines.
func (m *Metrics) Write(w io.Writer) error {
	var raw bytes.Buffer
	m.set.WritePrometheus(&raw)
	out := bufio.NewWriter(w)
	for line := range strings.Lines(raw.String()) {
		if family, found := strings.CutPrefix(strings.TrimSpace(line), "# HELP "); found {
			line = "# HELP " + family + " " + help[family] + "\n"
		}
		_, _ = out.WriteString(line) // bufio keeps the first error for Flush
	}
	return out.Flush()
}

func (m *Metrics) counter(family string, labels ...string) *metrics.Counter {
	return m.set.GetOrCreateCounter(series(family, labels...))
}

func (m *Metrics) gauge(family string, labels ...string) *metrics.Gauge {
	return m.set.GetOrCreateGauge(series(family, labels...), nil)
}

func (m *Metrics) histogram(bounds []float64, family string, labels ...string) *metrics.PrometheusHistogram {
	return m.set.GetOrCreatePrometheusHistogramExt(series(family, labels...), bounds)
}

// series spells family{label="value",…} with the values escaped.
func series(family string, labels ...string) string {
	if len(labels) == 0 {
		return family
	}
	var b strings.Builder
	b.WriteString(family)
	for i := 0; i < len(labels); i += 2 {
		b.WriteByte("{,"[min(i, 1)])
		b.WriteString(labels[i] + "=" + strconv.Quote(strings.ToValidUTF8(labels[i+1], "")))
	}
	b.WriteByte('}')
	return b.String()
}

// residentBytes reads the resident set from Linux's /proc; elsewhere it is what Go holds from the system.
func residentBytes() float64 {
	if statm, err := os.ReadFile("/proc/self/statm"); err == nil {
		if fields := strings.Fields(string(statm)); len(fields) > 1 {
			if pages, err := strconv.ParseFloat(fields[1], 64); err == nil {
				return pages * float64(os.Getpagesize())
			}
		}
	}
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return float64(stats.Sys - stats.HeapReleased)
}

// ResidentBytes is the memory of the process, as sema_memory_usage_bytes has it.
func ResidentBytes() int64 { return int64(residentBytes()) }
