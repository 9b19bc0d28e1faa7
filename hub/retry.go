package hub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// maxWait bounds how long a Retry-After header is followed.
const maxWait = 5 * time.Minute

// retryable are the statuses after which a request is tried again.
var retryable = map[int]bool{408: true, 429: true, 500: true, 502: true, 503: true, 504: true}

// answer is an answer that was read whole.
type answer struct {
	status int // 200 or 304
	header http.Header
	body   []byte
}

// get requests an address of the Hub's API.
func (c *Client) get(ctx context.Context, address string, header http.Header) (answer, error) {
	if c.opts.Offline {
		return answer{}, fmt.Errorf("%w: a request to %s would be needed", ErrOffline, c.base.Host)
	}
	var a answer
	err := c.retry(ctx, func() (o outcome) {
		a, o.wait, o.err = c.whole(ctx, address, header)
		return o
	})
	c.away.Store(errors.Is(err, ErrUnavailable))
	return a, err
}

// wholeAnswer is how many times Timeout an answer of the API may take, which is
// small. One that trickles would hold up all reloads for as long as it likes.
const wholeAnswer = 6

// whole makes one request and reads its answer. It also returns how long the
// Hub asks to wait.
func (c *Client) whole(ctx context.Context, address string, header http.Header) (answer, time.Duration, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, wholeAnswer*c.opts.Timeout, errStalled)
	defer cancel()
	resp, wait, err := c.once(ctx, address, header)
	if err != nil {
		return answer{}, wait, err
	}
	defer resp.Body.Close()
	a := answer{status: resp.StatusCode, header: resp.Header}
	a.body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if len(a.body) > maxAnswer {
		err = fmt.Errorf("%w: it is larger than %d bytes", ErrInvalid, maxAnswer)
	}
	return a, 0, err
}

// outcome is how an attempt ended.
type outcome struct {
	err      error
	wait     time.Duration // that the server asks for; 0: it does not say
	advanced bool          // a transfer got further than any attempt before
}

// maxRefused is how often bytes may arrive that are not those promised.
const maxRefused = 2

// retry calls try until it succeeds or fails for good.
func (c *Client) retry(ctx context.Context, try func() outcome) error {
	attempt, refused := 0, 0
	for {
		o := try()
		if o.advanced {
			attempt = 0
		}
		if errors.Is(o.err, ErrChecksum) {
			refused++
		}
		if !errors.Is(o.err, ErrUnavailable) && !errors.Is(o.err, ErrChecksum) || attempt >= c.opts.Retries || refused >= maxRefused {
			return o.err
		}
		wait := c.wait(o.wait, attempt)
		attempt++
		c.opts.Logger.Log(ctx, c.retryLevel(), "hub_retry", "attempt", attempt, "wait", wait.String(), "reason", o.err.Error())
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// retryLevel is lower while the Hub stays away: its absence has been told.
func (c *Client) retryLevel() slog.Level {
	if c.away.Load() {
		return slog.LevelDebug
	}
	return slog.LevelWarn
}

// wait is how long to wait after some attempts: what the server asks for, or
// twice as long each time, up to 8 times; with jitter, so that clients that
// failed together part.
func (c *Client) wait(asked time.Duration, attempt int) time.Duration {
	backoff := c.opts.Backoff << min(attempt, 3)
	jitter := rand.N(backoff/2 + 1)
	if asked > 0 {
		return asked + jitter
	}
	return backoff/2 + jitter
}

// maxRedirects bounds the hops within the Hub and to its storage.
const maxRedirects = 5

// once makes one request and follows its redirects. The answer is 200, 206 or
// 304; anything else is an error.
func (c *Client) once(ctx context.Context, address string, header http.Header) (*http.Response, time.Duration, error) {
	for range maxRedirects {
		resp, err := c.send(ctx, address, header)
		if err != nil {
			return nil, 0, err
		}
		switch resp.StatusCode {
		case http.StatusOK, http.StatusPartialContent, http.StatusNotModified:
			return resp, 0, nil
		case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
			resp.Body.Close()
			next, err := resp.Location()
			if err != nil {
				return nil, 0, fmt.Errorf("%w: a redirect without an address", ErrUnavailable)
			}
			address = next.String()
		default:
			resp.Body.Close()
			return nil, retryAfter(resp.Header), c.statusError(resp)
		}
	}
	return nil, 0, fmt.Errorf("%w: more than %d redirects", ErrUnavailable, maxRedirects)
}

// send makes one request. Only the Hub's own host gets the token.
func (c *Client) send(ctx context.Context, address string, header http.Header) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		cancel(nil)
		return nil, fmt.Errorf("%w: refused a redirect to what is no address", ErrUnavailable)
	}
	if req.URL.Scheme != "https" && !(req.URL.Scheme == "http" && c.base.Scheme == "http") {
		cancel(nil)
		return nil, fmt.Errorf("%w: refused a redirect to %s://%s", ErrUnavailable, req.URL.Scheme, req.URL.Host)
	}
	maps.Copy(req.Header, header)
	req.Header.Set("User-Agent", "sema")
	req.Header.Set("Accept-Encoding", "identity")
	if c.opts.Token != "" && c.ours(req.URL) {
		req.Header.Set("Authorization", "Bearer "+c.opts.Token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		cause := context.Cause(ctx)
		cancel(nil)
		c.opts.Observe(0)
		if cause != nil {
			return nil, cause
		}
		return nil, fmt.Errorf("%w: %s: %v", ErrUnavailable, req.URL.Host, withoutAddress(err))
	}
	c.opts.Observe(resp.StatusCode)
	resp.Body = watch(ctx, cancel, resp.Body, 3*c.opts.Timeout)
	return resp, nil
}

// ours reports whether an address is of the Hub's own host.
func (c *Client) ours(u *url.URL) bool { return u.Host == c.base.Host && u.Scheme == c.base.Scheme }

// watched is a body that is given up when it stays silent.
type watched struct {
	io.ReadCloser
	ctx     context.Context
	cancel  context.CancelCauseFunc
	silence time.Duration
	timer   *time.Timer
}

var errStalled = fmt.Errorf("%w: the transfer stalled", ErrUnavailable)

func watch(ctx context.Context, cancel context.CancelCauseFunc, body io.ReadCloser, silence time.Duration) io.ReadCloser {
	timer := time.AfterFunc(silence, func() { cancel(errStalled) })
	timer.Stop() // only reading is timed, not what the reader does in between
	return &watched{body, ctx, cancel, silence, timer}
}

func (w *watched) Read(p []byte) (int, error) {
	w.timer.Reset(w.silence)
	n, err := w.ReadCloser.Read(p)
	w.timer.Stop()
	switch {
	case err == nil || err == io.EOF:
		return n, err
	case context.Cause(w.ctx) != nil:
		return n, context.Cause(w.ctx)
	}
	return n, fmt.Errorf("%w: the transfer broke off: %v", ErrUnavailable, withoutAddress(err))
}

func (w *watched) Close() error {
	defer w.cancel(nil)
	return w.ReadCloser.Close()
}

// withoutAddress drops the address from an error of net/http: the query of a
// storage address is a credential.
func withoutAddress(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// statusError says what a status means.
func (c *Client) statusError(resp *http.Response) error {
	if resp.StatusCode == http.StatusRequestedRangeNotSatisfiable {
		return fmt.Errorf("%w: there are fewer bytes than the Hub says", ErrChecksum)
	}
	if !c.ours(resp.Request.URL) { // its signature may be too old: the Hub gives a new one
		return fmt.Errorf("%w: the storage %s answered %d", ErrUnavailable, resp.Request.URL.Host, resp.StatusCode)
	}
	code := resp.Header.Get("X-Error-Code")
	detail := strconv.Itoa(resp.StatusCode)
	if code != "" {
		detail += fmt.Sprintf(" %.100q", code)
	}
	switch {
	case code == "GatedRepo" || resp.StatusCode == http.StatusForbidden:
		return fmt.Errorf("%w: the Hub answered %s: accept the repository's terms on its page, with the account that HF_TOKEN belongs to", ErrUnauthorized, detail)
	case code == "RepoNotFound": // the Hub does not tell strangers what is private and what is missing
		return fmt.Errorf("%w: the Hub answered %s: the repository does not exist, or it is private: then set HF_TOKEN to a token with access to it", ErrNotFound, detail)
	case code == "RevisionNotFound" || code == "EntryNotFound" || resp.StatusCode == http.StatusNotFound:
		return fmt.Errorf("%w: the Hub answered %s", ErrNotFound, detail)
	case resp.StatusCode == http.StatusUnauthorized:
		return fmt.Errorf("%w: the Hub answered %s: the repository is private or missing; set HF_TOKEN to a token that may read it", ErrUnauthorized, detail)
	case retryable[resp.StatusCode]:
		return fmt.Errorf("%w: the Hub answered %s", ErrUnavailable, detail)
	}
	return fmt.Errorf("hub: the Hub answered %s", detail)
}

var resetPattern = regexp.MustCompile(`\bt=(\d+)`)

// retryAfter returns how long the server asks to wait; 0: it does not say.
func retryAfter(h http.Header) time.Duration {
	for _, text := range []string{h.Get("Retry-After"), submatch(resetPattern, h.Get("RateLimit"))} {
		if s, err := strconv.Atoi(strings.TrimSpace(text)); err == nil && s > 0 {
			return min(time.Duration(s)*time.Second, maxWait)
		}
	}
	if at, err := http.ParseTime(h.Get("Retry-After")); err == nil {
		return min(max(time.Until(at), 0), maxWait)
	}
	return 0
}

func submatch(re *regexp.Regexp, s string) string {
	if m := re.FindStringSubmatch(s); m != nil {
		return m[1]
	}
	return ""
}
