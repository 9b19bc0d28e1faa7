package hub

import (
	"context"
	"errors"
	"fmt"
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

// get requests an address of the Hub, with the token, and follows redirects
// within its host. The answer is 200, 206 or 304; anything else is an error.
func (c *Client) get(ctx context.Context, address string, header http.Header) (*http.Response, error) {
	if c.opts.Offline {
		return nil, fmt.Errorf("%w: a request to %s would be needed", ErrOffline, c.base.Host)
	}
	var resp *http.Response
	err := c.retry(ctx, func() (time.Duration, error) {
		var wait time.Duration
		var err error
		resp, wait, err = c.once(ctx, address, header)
		return wait, err
	})
	return resp, err
}

// retry calls try until it succeeds or fails for good. try returns how long the
// server asked to wait.
func (c *Client) retry(ctx context.Context, try func() (time.Duration, error)) error {
	backoff := c.opts.Backoff
	for attempt := 0; ; attempt++ {
		wait, err := try()
		if err == nil || !errors.Is(err, ErrUnavailable) && !errors.Is(err, ErrChecksum) || attempt >= c.opts.Retries {
			return err
		}
		if wait == 0 { // full jitter above one half: clients that failed together part
			wait = backoff/2 + rand.N(backoff/2+1)
			backoff = min(2*backoff, 8*c.opts.Backoff)
		}
		c.opts.Logger.Warn("hub: retry", "attempt", attempt+1, "wait", wait.String(), "reason", err.Error())
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// maxRedirects bounds the hops within the Hub and to its storage.
const maxRedirects = 5

// once makes one request and follows its redirects.
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
			return nil, retryAfter(resp.Header), statusError(resp)
		}
	}
	return nil, 0, fmt.Errorf("%w: more than %d redirects", ErrUnavailable, maxRedirects)
}

// send makes one request. Only the Hub's own host gets the token.
func (c *Client) send(ctx context.Context, address string, header http.Header) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrUnavailable, err)
	}
	if req.URL.Scheme != "https" && !(req.URL.Scheme == "http" && c.base.Scheme == "http") {
		return nil, fmt.Errorf("%w: refused a redirect to %s://%s", ErrUnavailable, req.URL.Scheme, req.URL.Host)
	}
	for k, v := range header {
		req.Header[k] = v
	}
	req.Header.Set("User-Agent", "sema")
	req.Header.Set("Accept-Encoding", "identity")
	if c.opts.Token != "" && req.URL.Host == c.base.Host && req.URL.Scheme == c.base.Scheme {
		req.Header.Set("Authorization", "Bearer "+c.opts.Token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		c.opts.Observe(0)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("%w: %s: %v", ErrUnavailable, req.URL.Host, withoutAddress(err))
	}
	c.opts.Observe(resp.StatusCode)
	return resp, nil
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
func statusError(resp *http.Response) error {
	code := resp.Header.Get("X-Error-Code")
	detail := strconv.Itoa(resp.StatusCode)
	if code != "" {
		detail += " " + code
	}
	switch {
	case code == "GatedRepo" || resp.StatusCode == http.StatusForbidden:
		return fmt.Errorf("%w: the Hub answered %s: accept the repository's terms on its page, with the account that HF_TOKEN belongs to", ErrUnauthorized, detail)
	case code == "RepoNotFound" || code == "RevisionNotFound" || code == "EntryNotFound" || resp.StatusCode == http.StatusNotFound:
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
