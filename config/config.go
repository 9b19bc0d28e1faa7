// Package config reads Sema's configuration from the environment into one validated Config.
//
// Each variable has two names: the bare one ("PORT") and its twin with the SEMA_ prefix ("SEMA_PORT"), which wins when
// both are set. Load reports every mistake it finds in one error, and Table says for each variable what is in force
// and which name set it.
package config

import "time"

//go:generate go test -run TestDocumentation -update .

// Config is everything an operator can set. The tags are the one source for parsing (env, envDefault), for validation
// (min, max, oneof, address), for hiding (secret, and an address's password) and for the table in docs/configuration.md
// (doc).
type Config struct {
	AppName     string `env:"APP_NAME" envDefault:"Sema" doc:"Name shown by /status and the documentation."`
	AppVersion  string `env:"APP_VERSION" doc:"Version shown by /status; empty means the version built into the binary."`
	Environment string `env:"ENVIRONMENT" envDefault:"production" doc:"Deployment environment, shown by /status."`

	Host            string        `env:"HOST" doc:"Address to listen on; empty means all."`
	Port            int           `env:"PORT" envDefault:"8000" min:"0" max:"65535" doc:"Port to listen on; 0 picks a free one."`
	ReadTimeout     time.Duration `env:"READ_TIMEOUT" envDefault:"15s" min:"100ms" doc:"Longest time to receive one request, its body included."`
	WriteTimeout    time.Duration `env:"WRITE_TIMEOUT" envDefault:"5m" min:"1s" doc:"Longest time to send one answer, a stream included."`
	IdleTimeout     time.Duration `env:"IDLE_TIMEOUT" envDefault:"2m" min:"1s" doc:"How long an idle connection is kept."`
	RequestTimeout  time.Duration `env:"REQUEST_TIMEOUT" envDefault:"60s" min:"100ms" doc:"Deadline of one request, waiting in the queue included."`
	ShutdownTimeout time.Duration `env:"SHUTDOWN_TIMEOUT" envDefault:"30s" min:"0s" doc:"How long running requests may take to finish after SIGTERM."`
	ShutdownDelay   time.Duration `env:"SHUTDOWN_DELAY" envDefault:"0s" min:"0s" doc:"How long /ready answers 503 before the listener closes, for load balancers to notice."`
	BodyLimit       Bytes         `env:"BODY_LIMIT" envDefault:"4MiB" min:"1KiB" max:"1GiB" doc:"Largest request body."`
	CORSOrigins     []string      `env:"CORS_ORIGINS" envDefault:"*" doc:"Comma-separated origins that browsers may call from; * for any."`
	CORSCredentials bool          `env:"CORS_CREDENTIALS" envDefault:"false" doc:"Allow credentials across origins; refused together with *."`
	TrustedProxies  string        `env:"TRUSTED_PROXIES" doc:"Which proxies' X-Forwarded-For to believe: comma-separated CIDRs, a number of hops, or the preset huggingface."`
	SpaceID         string        `env:"SPACE_ID" doc:"Set by Hugging Face Spaces: huggingface.co may then show the pages in a frame, as it does a Space."`

	MaxCharacters int `env:"MAX_CHARACTERS" envDefault:"5000" min:"1" doc:"Longest text of one request, in Unicode code points."`
	MaxBatchSize  int `env:"MAX_BATCH_SIZE" envDefault:"50" min:"1" max:"1000" doc:"Most texts of one batch request."`
	BeamSize      int `env:"BEAM_SIZE" envDefault:"1" min:"1" max:"32" doc:"Beam size of requests that name none, at most MAX_BEAM_SIZE."`
	MaxBeamSize   int `env:"MAX_BEAM_SIZE" envDefault:"8" min:"1" max:"32" doc:"Largest beam size that a request may ask for."`

	QueueTokens  int   `env:"QUEUE_TOKENS" envDefault:"65536" min:"256" doc:"Bound of the admission queue, in estimated tokens of waiting work."`
	ActiveTokens int   `env:"ACTIVE_TOKENS" envDefault:"16384" min:"256" doc:"Bound of the work handed to the model at once, in estimated tokens."`
	CacheSize    Bytes `env:"CACHE_SIZE" envDefault:"64MiB" min:"0" doc:"Bound of the in-process result cache; 0 turns it off."`

	RateLimitPerMinute int    `env:"RATE_LIMIT_PER_MINUTE" envDefault:"60" min:"0" doc:"Requests a client may make in any 60 seconds; 0 means no limit."`
	RateLimitPerHour   int    `env:"RATE_LIMIT_PER_HOUR" envDefault:"1000" min:"0" doc:"Requests a client may make in any hour; 0 means no limit."`
	RateLimitClients   int    `env:"RATE_LIMIT_CLIENTS" envDefault:"100000" min:"100" doc:"Most clients whose rates are remembered at once."`
	RedisURL           Secret `env:"REDIS_URL" doc:"Redis that shares rate limits and cached results between replicas, as redis://[user:password@]host:port/db, rediss:// with TLS or unix://path?db=n."`

	EnableMetrics bool   `env:"ENABLE_METRICS" envDefault:"true" doc:"Serve /metrics."`
	LogLevel      string `env:"LOG_LEVEL" envDefault:"info" oneof:"trace debug info warn warning error fatal panic critical" doc:"Least severe level that is logged."`
	LogFormat     string `env:"LOG_FORMAT" envDefault:"auto" oneof:"auto json text" doc:"json, text, or auto: text on a terminal and JSON elsewhere."`

	ModelDir     string `env:"MODEL_DIR" doc:"Folder of models to serve in place of the Hub's or the demo's."`
	ComputeType  string `env:"COMPUTE_TYPE" envDefault:"default" oneof:"default auto int8 int8_float32 int8_float16 int8_bfloat16 int16 float16 bfloat16 float32" doc:"Numeric type to compute in."`
	IntraThreads int    `env:"INTRA_THREADS" envDefault:"0" min:"0" max:"1024" doc:"Threads of the runtime; 0 follows the cgroup's CPU limit."`
	CPUISA       string `env:"CPU_ISA" doc:"Force one kernel tier: amx, avx512vnni, avxvnni, avx2, neon or generic; empty picks the best that the machine has."`

	ModelRepo          string        `env:"MODEL_REPO" envDefault:"sematech/sema-utils" doc:"Hub repository to serve from."`
	ModelRevision      string        `env:"MODEL_REVISION" envDefault:"main" doc:"Branch, tag or commit of the repository."`
	ModelCacheDir      string        `env:"MODEL_CACHE_DIR" doc:"Hub cache folder; empty follows HF_HUB_CACHE and HF_HOME, see below."`
	HFHome             string        `env:"HF_HOME" doc:"Home of the Hugging Face cache."`
	HFToken            Secret        `env:"HF_TOKEN" doc:"Hub access token; empty: that of its file, see below."`
	HFEndpoint         string        `env:"HF_ENDPOINT" envDefault:"https://huggingface.co" address:"http" doc:"Base address of the Hub."`
	HFHubOffline       bool          `env:"HF_HUB_OFFLINE" envDefault:"false" doc:"Make no request to the Hub."`
	KeepRevisions      int           `env:"KEEP_REVISIONS" envDefault:"2" min:"1" doc:"Snapshots kept in the cache."`
	ReloadPollInterval time.Duration `env:"RELOAD_POLL_INTERVAL" envDefault:"5m" min:"0s" doc:"How often the Hub is asked for a new revision; 0 never."`
	ReloadMode         string        `env:"RELOAD_MODE" envDefault:"swap" oneof:"swap replace" doc:"swap loads the new model beside the old; replace unloads first, where two don't fit in memory."`
	DrainTimeout       time.Duration `env:"DRAIN_TIMEOUT" envDefault:"30s" min:"0s" doc:"How long a reload waits for the requests of the model before."`
	ModelCopyDir       string        `env:"MODEL_COPY_DIR" doc:"Folder on a disk for private copies of MODEL_DIR, which serve in its place, and for those of WEIGHT_COPIES; empty means sema beside the Hub cache."`
	WeightCopies       bool          `env:"WEIGHT_COPIES" envDefault:"true" doc:"Keep parts of a model in a second form in MODEL_COPY_DIR, in files without a name, so that steps read less: as a rule a fourth of its size or less, where disk and memory have room."`
	Canary             bool          `env:"CANARY" envDefault:"true" doc:"Let a new model translate and detect sentences before it serves; false serves whatever opens."`
	CanaryFile         string        `env:"CANARY_FILE" doc:"File of sentences that a new model must translate: source language, target language, source and reference, separated by tabs."`
	CanaryMinChrF      int           `env:"CANARY_MIN_CHRF" envDefault:"0" min:"0" max:"100" doc:"chrF that the translations of CANARY_FILE must reach."`
	CanaryLatency      time.Duration `env:"CANARY_LATENCY" envDefault:"20s" min:"100ms" doc:"Longest time that a new model may take for one sentence."`
	DemoFallback       bool          `env:"DEMO_FALLBACK" envDefault:"true" doc:"Serve the embedded demo while no model of the Hub can be had."`
	AdminToken         Secret        `env:"ADMIN_TOKEN" doc:"Bearer token of the admin routes; without one they don't exist."`
	WebhookSecret      Secret        `env:"WEBHOOK_SECRET" doc:"Secret that the Hub's webhook must send."`
	APIKey             Secret        `env:"API_KEY" doc:"Key that clients of the DeepL, Google and LibreTranslate shapes must send; empty accepts any. All other routes stay open: no way to close the service."`
}
