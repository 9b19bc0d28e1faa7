package handlers

import "github.com/gofiber/fiber/v2"

// peerRoutes are the shapes of other translation services.
func (s *service) peerRoutes() []route { return nil }

func foreignShape(c *fiber.Ctx) func(*service, *fiber.Ctx) error { return nil }
func (t languageTables) libre() cached                           { return t.all }
