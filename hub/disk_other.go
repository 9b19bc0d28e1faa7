//go:build !unix

package hub

import "context"

type lockKind int

const (
	exclusive lockKind = iota
	shared
)

func lockFile(context.Context, string, lockKind) (func(), error) { return func() {}, nil }
func tryLock(string, lockKind) (func(), error)                   { return func() {}, nil }
func freeSpace(string) (int64, bool)                             { return 0, false }
func diskError(err error) error                                  { return err }
func syncDir(string)                                             {}
