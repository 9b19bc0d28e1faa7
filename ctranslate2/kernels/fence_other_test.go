//go:build !unix

package kernels

import "testing"

// fenced returns n elements.
func fenced[T any](_ testing.TB, n int) []T { return make([]T, n) }
