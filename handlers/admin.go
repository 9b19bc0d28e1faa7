package handlers

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/sirupsen/logrus"
	ulule "github.com/ulule/limiter/v3"

	"github.com/sematech/sema/limiter"
	"github.com/sematech/sema/modelstore"
	"github.com/sematech/sema/telemetry"
)

// wrongSecrets is how many wrong tokens or webhook secrets a client may send; after that not even the right one is
// looked at until the window has slid on. wrongClients bounds how many clients are remembered.
var wrongSecrets = ulule.Rate{Period: time.Minute, Limit: 10}

const wrongClients = 10_000

// adminRoutes are the operator's. Without a token, or with nothing to control, they don't exist.
func (s *service) adminRoutes() []route {
	var routes []route
	if s.administered() {
		routes = append(routes,
			route{"GET", "/admin/models", s.admin(s.getAdminModels), false},
			route{"POST", "/admin/reload", s.admin(s.postReload, "dry_run"), false},
			route{"POST", "/admin/rollback", s.admin(s.postRollback), false},
			route{"GET", "/admin/reload/events", s.admin(s.getReloadEvents), false},
		)
	}
	if s.hooked() {
		routes = append(routes, route{"POST", "/hooks/huggingface", s.postHubWebhook, false})
	}
	return routes
}

// administered says whether the admin routes exist.
func (s *service) administered() bool { return s.Control != nil && s.AdminToken != "" }

// hooked says whether the Hub's webhook exists.
func (s *service) hooked() bool { return s.Control != nil && s.WebhookSecret != "" }

// admin lets only requests with the admin token through, and with no other parameters than those: who writes dryrun=true
// must not get a reload.
func (s *service) admin(next fiber.Handler, parameters ...string) fiber.Handler {
	return func(c *fiber.Ctx) error {
		c.Locals(quietKey, c.Method() != fiber.MethodPost)
		if err := s.checkSecret(c, bearer(c), s.AdminToken, typeUnauthorized); err != nil {
			c.Set(fiber.HeaderWWWAuthenticate, `Bearer realm="sema admin"`)
			return err
		}
		for name := range c.Queries() {
			if !slices.Contains(parameters, name) {
				return unknownName("parameter", name, parameters)
			}
		}
		return next(c)
	}
}

// optionalBody reads a body, if there is one, into out. It may have no other fields than those, for the same reason.
func optionalBody(c *fiber.Ctx, out any, fields ...string) error {
	if len(c.Request().Body()) == 0 {
		return nil
	}
	if err := decodeJSON(c, out); err != nil {
		return err
	}
	var given map[string]json.RawMessage
	if err := json.Unmarshal(c.Request().Body(), &given); err != nil {
		return err
	}
	for name := range given {
		if !slices.Contains(fields, name) {
			return unknownName("field", name, fields)
		}
	}
	return nil
}

// unknownName refuses what would be left out of account elsewhere.
func unknownName(kind, name string, known []string) error {
	return invalid(name, "is an unknown %s; this address takes %s", kind, cmp.Or(strings.Join(known, ", "), "none"))
}

// bearer returns the token of the Authorization header, "" if it has none.
func bearer(c *fiber.Ctx) string {
	scheme, token, _ := strings.Cut(c.Get(fiber.HeaderAuthorization), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// checkSecret compares in a time that tells nothing of the secret, not even its length, and counts failures against
// the client.
func (s *service) checkSecret(c *fiber.Ctx, given, want, refusal string) error {
	client := limiter.ClientKey(s.clientAddress(c))
	state, err := s.attempts.Peek(c.UserContext(), client, wrongSecrets)
	if err != nil {
		return err
	}
	if state.Remaining == 0 {
		s.metrics.RateLimited("secret")
		return fail(typeRateLimited, "too many wrong secrets from this address").retry(time.Until(time.Unix(state.Reset, 0)))
	}
	a, b := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(want))
	if subtle.ConstantTimeCompare(a[:], b[:]) == 1 {
		return nil
	}
	if given == "" { // nothing was guessed
		return fail(refusal, "this address needs a secret")
	}
	if _, err := s.attempts.Get(c.UserContext(), client, wrongSecrets); err != nil {
		return err
	}
	s.log.WithFields(logrus.Fields{telemetry.FieldRequestID: requestID(c), telemetry.FieldClientIP: s.clientAddress(c).String(), "endpoint": endpoint(c)}).Warn("wrong_secret")
	return fail(refusal, "the secret is wrong")
}

// generations is what GET /admin/models answers.
type generations struct {
	Models []modelstore.Generation `json:"models"`
	Total  int                     `json:"total"`
}

func (s *service) getAdminModels(c *fiber.Ctx) error {
	models := append([]modelstore.Generation{}, s.Control.Generations()...) // [] and not null
	return c.JSON(generations{models, len(models)})
}

// reloadBody is what POST /admin/reload may take; no body means the configured revision.
type reloadBody struct {
	Revision string `json:"revision"`
}

// maxRevision and revisionPattern are what the Hub's client takes for a revision, and what the OpenAPI document says of
// it: no part between slashes is empty or a point alone, and no two points stand together.
const maxRevision = 255

var revisionPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_+-]*(\.[A-Za-z0-9_+-]+)*\.?(/\.?[A-Za-z0-9_+-]+(\.[A-Za-z0-9_+-]+)*\.?)*$`)

// postReload loads a revision and waits for the outcome as long as a request may last. Who asks by hand means it: a
// commit that failed before is tried again.
func (s *service) postReload(c *fiber.Ctx) error {
	var body reloadBody
	if err := optionalBody(c, &body, "revision"); err != nil {
		return err
	}
	if body.Revision != "" && (len(body.Revision) > maxRevision || !revisionPattern.MatchString(body.Revision)) {
		return invalid("revision", "must be a branch, a tag or a commit")
	}
	dryRun, err := boolean(c, "dry_run")
	if err != nil {
		return err
	}
	request := modelstore.Request{Trigger: "admin", Revision: body.Revision, DryRun: dryRun, Force: true}
	return s.answerOutcome(c, func(ctx context.Context) (modelstore.Outcome, error) { return s.Control.Reload(ctx, request) })
}

func (s *service) postRollback(c *fiber.Ctx) error {
	if err := optionalBody(c, &struct{}{}); err != nil {
		return err
	}
	return s.answerOutcome(c, s.Control.Rollback)
}

// boolean reads a query's true or false, which is false if it is not there. Without
// a value it is refused: who writes it wants it.
func boolean(c *fiber.Ctx, field string) (bool, error) {
	if !c.Context().QueryArgs().Has(field) {
		return false, nil
	}
	b, err := strconv.ParseBool(c.Query(field))
	if err != nil {
		return false, invalid(field, "must be true or false")
	}
	return b, nil
}

// outcomeAnswer is what a reload answers: its outcome, or that it runs on.
type outcomeAnswer struct {
	modelstore.Outcome
	Timestamp string `json:"timestamp"`
	RequestID string `json:"request_id"`
}

// answerOutcome waits for a change of models: 200 with its outcome, 202 when the request's time is over before it.
func (s *service) answerOutcome(c *fiber.Ctx, change func(context.Context) (modelstore.Outcome, error)) error {
	if s.ShuttingDown() {
		return fail(typeShuttingDown, "the service is shutting down").retry(retryWithoutModel)
	}
	ctx, cancel := s.clientContext(c)
	defer cancel()
	outcome, err := change(ctx)
	switch {
	case errors.Is(err, modelstore.ErrNoPrevious):
		return fail(typeNoPrevious, "there are no models before those that serve to go back to")
	case errors.Is(err, modelstore.ErrReloadFailed):
		return reloadFailure(outcome, err)
	case err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded):
		c.Status(fiber.StatusAccepted)
		outcome.Result = "running"
	case err != nil:
		return err
	}
	fields(c)["result"] = outcome.Result
	return c.JSON(outcomeAnswer{outcome, timestamp(), requestID(c)})
}

// reloadFailure tells a Hub that failed from models that were refused; the caller is an operator and may see why.
func reloadFailure(o modelstore.Outcome, err error) *Error {
	kind := typeReloadFailed
	if (o.Step == "resolve" || o.Step == "download") && !errors.Is(err, modelstore.ErrNoHub) {
		kind = typeHubFailed
	}
	details := []Detail{{Field: o.Step, Message: o.Error}}
	if o.Gap > 0 {
		details = append(details, Detail{Field: "gap_seconds", Message: strconv.FormatFloat(o.Gap, 'f', 3, 64)})
	}
	return fail(kind, "the reload failed at step "+o.Step+" and the models before it serve on: "+o.Error, details...)
}

// Attempts describes, for FromStore, the models that c is loading and those that it could not load. While nothing serves,
// what is loading says why the attempt before failed: who waits for the first models looks there.
func Attempts(c modelstore.Controller) func() []ModelStatus {
	return func() []ModelStatus {
		var models []ModelStatus
		generations := c.Generations()
		before := whyNothingServes(generations)
		for _, g := range generations {
			if g.State != "loading" && g.State != "failed" {
				continue
			}
			m := ModelStatus{Name: g.Source, Revision: g.Revision, State: g.State, Progress: g.Progress, Detail: detailOf(g)}
			if g.State == "loading" && before != "" {
				m.Detail += "; the attempt before failed at " + before
			}
			models = append(models, m)
		}
		return models
	}
}

// whyNothingServes is how the last attempt failed, "" if something serves or none failed.
func whyNothingServes(generations []modelstore.Generation) string {
	at := func(state string) int {
		return slices.IndexFunc(generations, func(g modelstore.Generation) bool { return g.State == state })
	}
	if i := at("failed"); i >= 0 && at("current") < 0 {
		return detailOf(generations[i])
	}
	return ""
}

// detailOf is where loading is, and why it failed.
func detailOf(g modelstore.Generation) string {
	if g.Error == "" {
		return g.Step
	}
	return strings.TrimPrefix(g.Step+": "+g.Error, ": ")
}
