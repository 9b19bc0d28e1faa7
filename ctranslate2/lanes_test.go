package ctranslate2_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sematech/sema/ctranslate2"
)

// exactly is a call of the tiny model, greedy and in the bulk lane, that decodes
// n tokens.
func exactly(n int) call {
	o := defaults(func(o *ctranslate2.TranslationOptions) {
		o.BeamSize, o.MaxDecodingLength, o.MinDecodingLength, o.Lane = 1, n, n, ctranslate2.Bulk
	})
	return call{[][]string{{"a", "b", "c"}}, [][]string{{"d"}}, o}
}

// counted is a job of n endless sequences that counts its steps, which take a
// millisecond each.
func counted(n int, steps *atomic.Int64) call {
	c := exactly(20000)
	c.opts.Callback = func(s ctranslate2.StepResult) bool {
		if s.BatchID == 0 {
			steps.Add(1)
			time.Sleep(time.Millisecond)
		}
		return false
	}
	for len(c.source) < n {
		c.source, c.prefix = append(c.source, c.source[0]), append(c.prefix, c.prefix[0])
	}
	return c
}

// start runs a call in the background until it is stopped.
func start(t *testing.T, tr *ctranslate2.Translator, c call) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if _, err := tr.TranslateBatch(ctx, c.source, c.prefix, c.opts); !errors.Is(err, context.Canceled) {
			t.Errorf("the endless job: %v", err)
		}
	})
	return func() { cancel(); running.Wait() }
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range 2000 {
		if ok() {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("%s: not within two seconds", what)
}

// TestBulkLeavesRoom decodes a bulk job of 200 sequences that fills the batch.
// An interactive call must come back after a few steps of it.
func TestBulkLeavesRoom(t *testing.T) {
	tr := newTiny().open(t)
	var steps atomic.Int64
	stop := start(t, tr, counted(200, &steps))
	defer stop()
	waitFor(t, "the bulk job runs", func() bool { return steps.Load() > 10 })
	for range 5 {
		quick := exactly(4)
		quick.opts.Lane = ctranslate2.Interactive
		before := steps.Load()
		if _, err := tr.TranslateBatch(context.Background(), quick.source, quick.prefix, quick.opts); err != nil {
			t.Fatal(err)
		}
		if waited := steps.Load() - before; waited > 4+8 {
			t.Errorf("an interactive call of 4 steps took %d steps of the bulk job", waited)
		}
	}
}

// TestCancelFreesEverything cancels calls that decode, that wait to be encoded
// and that are still queued behind others.
func TestCancelFreesEverything(t *testing.T) {
	tr := newTiny().open(t)
	var steps atomic.Int64
	stop := start(t, tr, counted(200, &steps))
	waitFor(t, "the bulk job runs", func() bool { return steps.Load() > 10 })
	ctx, cancel := context.WithCancel(context.Background())
	var waiting sync.WaitGroup
	var ignored atomic.Int64
	for range 10 {
		waiting.Go(func() {
			c := counted(50, &ignored)
			if _, err := tr.TranslateBatch(ctx, c.source, c.prefix, c.opts); !errors.Is(err, context.Canceled) {
				t.Errorf("a cancelled call: %v", err)
			}
		})
	}
	time.Sleep(20 * time.Millisecond)
	before := steps.Load()
	cancel()
	waiting.Wait()
	if waited := steps.Load() - before; waited > 8 {
		t.Errorf("calls in the queue came back %d steps after they were cancelled", waited)
	}
	stop()
	if n := tr.Reserved(); n != 0 {
		t.Errorf("%d pages of the cache are still reserved", n)
	}
}

// TestLongPrefix forces a prefix longer than a usual step has rows.
func TestLongPrefix(t *testing.T) {
	tr := newTiny().open(t)
	for _, beam := range []int{1, 2} {
		c := exactly(310)
		c.opts.BeamSize = beam
		c.prefix[0] = strings.Fields(strings.Repeat("e ", 300))
		r, err := tr.TranslateBatch(context.Background(), c.source, c.prefix, c.opts)
		if err != nil || len(r[0].Hypotheses[0]) != 310 {
			t.Errorf("beam %d: %v", beam, err)
		}
		c.opts.MaxDecodingLength, c.prefix[0] = 60000, strings.Fields(strings.Repeat("e ", 2000))
		if _, err := tr.TranslateBatch(context.Background(), c.source, c.prefix, c.opts); !errors.Is(err, ctranslate2.ErrTooLarge) {
			t.Errorf("beam %d, a prefix of 2000 tokens: %v", beam, err)
		}
	}
}
