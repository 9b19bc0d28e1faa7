// Package telemetry holds every metric of Sema, with its name, labels and help text in one place, and the set-up of
// its logs. It never records a text, a client's address or a key.
package telemetry

// Metric families. Durations are in seconds, sizes in bytes.
const (
	requestsTotal       = "sema_requests_total"
	requestDuration     = "sema_request_duration_seconds"
	translationsTotal   = "sema_translations_total"
	charactersTotal     = "sema_characters_translated_total"
	translationDuration = "sema_translation_duration_seconds"
	detectionsTotal     = "sema_language_detections_total"
	detectionDuration   = "sema_detection_duration_seconds"
	errorsTotal         = "sema_errors_total"
	modelLoadTime       = "sema_model_load_time_seconds"
	memoryUsage         = "sema_memory_usage_bytes"

	modelInfo        = "sema_model_info"
	reloadsTotal     = "sema_reloads_total"
	reloadDuration   = "sema_reload_step_duration_seconds"
	drainDuration    = "sema_model_drain_duration_seconds"
	hubRequestsTotal = "sema_hub_requests_total"
	downloadBytes    = "sema_hub_download_bytes_total"

	queueTokens      = "sema_queue_tokens"
	queueRequests    = "sema_queue_requests"
	activeTokens     = "sema_active_tokens"
	modelReferences  = "sema_model_references"
	queueDuration    = "sema_queue_duration_seconds"
	tokenizeDuration = "sema_tokenize_duration_seconds"
	inferDuration    = "sema_inference_duration_seconds"
	firstTokenTime   = "sema_time_to_first_token_seconds"
	batchSize        = "sema_batch_size_segments"
	tokensTotal      = "sema_tokens_generated_total"
	cancelledTotal   = "sema_requests_cancelled_total"
	droppedTotal     = "sema_requests_dropped_total"
	rateLimitedTotal = "sema_requests_rate_limited_total"
	cacheHitsTotal   = "sema_cache_hits_total"
	cacheMissesTotal = "sema_cache_misses_total"
	cacheBytes       = "sema_cache_bytes"
	panicsTotal      = "sema_panics_total"
)

// help is the HELP text of each family.
var help = map[string]string{
	requestsTotal:       "HTTP requests by route pattern and status code.",
	requestDuration:     "Time from receiving a request to its answer, by route pattern.",
	translationsTotal:   "Texts translated, by FLORES-200 language pair.",
	charactersTotal:     "Unicode code points translated.",
	translationDuration: "Time to translate one text, by FLORES-200 language pair.",
	detectionsTotal:     "Languages detected.",
	detectionDuration:   "Time to detect one text's language.",
	errorsTotal:         "Errors answered, by error type and route pattern.",
	modelLoadTime:       "Time that loading the serving model took.",
	memoryUsage:         "Resident memory of the process.",
	modelInfo:           "The models in use; always 1.",
	reloadsTotal:        "Model reloads by trigger, result and failing step.",
	reloadDuration:      "Time of each step of a reload.",
	drainDuration:       "Time from a model's replacement to its last release.",
	hubRequestsTotal:    "Requests to the model hub by status.",
	downloadBytes:       "Bytes downloaded from the model hub.",
	queueTokens:         "Estimated tokens of the work that waits for admission.",
	queueRequests:       "Requests that wait for admission.",
	activeTokens:        "Estimated tokens of the work admitted and not finished.",
	modelReferences:     "Requests that hold the serving model.",
	queueDuration:       "Time a request waited for admission.",
	tokenizeDuration:    "Time spent on splitting and tokenizing a text.",
	inferDuration:       "Time spent in the model for a text.",
	firstTokenTime:      "Time from a streaming request to the first event with text.",
	batchSize:           "Segments of one request handed to the model together.",
	tokensTotal:         "Tokens that the model generated.",
	cancelledTotal:      "Requests whose client left before the answer.",
	droppedTotal:        "Requests refused by admission, by reason.",
	rateLimitedTotal:    "Requests refused by a rate limit, by window.",
	cacheHitsTotal:      "Texts answered from the result cache, by level: memory, redis (the one that replicas share), shared (a request under way made it).",
	cacheMissesTotal:    "Texts not found in the result cache.",
	cacheBytes:          "Bytes held by the in-process result cache.",
	panicsTotal:         "Panics turned into a 500.",
}

// buckets are the upper bounds of the duration histograms, in seconds: from a detection (tens of microseconds) to a
// long document (a minute).
var buckets = []float64{5e-5, 1e-4, 2.5e-4, 1e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60}

// pairBuckets are coarser: there are 40,000 possible language pairs, so each series counts.
var pairBuckets = []float64{0.01, 0.1, 0.5, 1, 5, 30}

// sizeBuckets are for counts of segments.
var sizeBuckets = []float64{1, 2, 4, 8, 16, 32, 64, 128}
