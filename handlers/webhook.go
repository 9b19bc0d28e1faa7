package handlers

import (
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/sematech/sema/modelstore"
)

const (
	// webhookBytes bounds the Hub's message, which is a few KiB.
	webhookBytes = 256 << 10
	// webhookReloads bounds the reloads that webhooks wait for: one that runs and one more serve any number.
	webhookReloads = 4
)

// hubMessage is what of the Hub's webhook message decides whether our models changed.
// https://huggingface.co/docs/hub/webhooks
type hubMessage struct {
	Event struct {
		Action string `json:"action"`
		Scope  string `json:"scope"`
	} `json:"event"`
	Repo struct {
		Type string `json:"type"`
		Name string `json:"name"`
	} `json:"repo"`
	UpdatedRefs []struct {
		Ref string `json:"ref"`
	} `json:"updatedRefs"`
}

// changes says whether the message is about the content of a repository's revision. Messages without a list of
// references may be about any.
func (m hubMessage) changes(repo, revision string) bool {
	if m.Repo.Type != "model" || m.Repo.Name != repo || m.Event.Action == "delete" {
		return false
	}
	if m.Event.Scope != "repo" && m.Event.Scope != "repo.content" && !strings.HasPrefix(m.Event.Scope, "repo.content.") {
		return false
	}
	if len(m.UpdatedRefs) == 0 {
		return true
	}
	for _, updated := range m.UpdatedRefs {
		if slices.Contains([]string{"refs/heads/" + revision, "refs/tags/" + revision, revision}, updated.Ref) {
			return true
		}
	}
	return false
}

// postHubWebhook asks for a reload when the Hub says that the models' repository changed. It does not wait for it, and
// takes nothing else from the message: what is loaded is what is configured.
func (s *service) postHubWebhook(c *fiber.Ctx) error {
	c.Locals(quietKey, false)
	if err := s.checkSecret(c, c.Get("X-Webhook-Secret"), s.WebhookSecret, typeForbidden); err != nil {
		return err
	}
	if len(c.Request().Body()) > webhookBytes {
		return fail(typeBodyTooLarge, "the body is larger than the limit")
	}
	var message hubMessage
	if err := decodeJSON(c, &message); err != nil {
		return err
	}
	if !message.changes(s.ModelRepo, s.ModelRevision) {
		return c.JSON(fiber.Map{"status": "ignored", "request_id": requestID(c)})
	}
	s.reloadSoon()
	return c.Status(fiber.StatusAccepted).JSON(fiber.Map{"status": "accepted", "request_id": requestID(c)})
}

// reloadSoon asks for a reload unless so many are asked for already that one of them is yet to begin.
func (s *service) reloadSoon() {
	select {
	case s.hooks <- struct{}{}:
	default:
		return
	}
	go func() {
		defer func() { <-s.hooks }()
		_, _ = s.Control.Reload(s.Context, modelstore.Request{Trigger: "webhook"}) // the controller reports its outcome
	}()
}
