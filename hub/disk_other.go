//go:build !unix

package hub

import "context"

func lockFile(context.Context, string) (func(), error) { return func() {}, nil }
func freeSpace(string) (int64, bool)                   { return 0, false }
func diskError(err error) error                        { return err }
func syncDir(string)                                   {}
