package reload_test

import (
	"context"
	"fmt"

	"github.com/sematech/sema/demo"
	"github.com/sematech/sema/modelstore"
	"github.com/sematech/sema/reload"
	"github.com/sematech/sema/translate"
)

func Example() {
	store := &modelstore.Store[*reload.Models]{}
	control, err := reload.New(reload.Options{Store: store, Demo: demo.Models(), DemoRevision: demo.Revision})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	ended := make(chan error)
	go func() { ended <- control.Run(ctx) }()

	outcome, err := control.Reload(ctx, modelstore.Request{Trigger: "signal"}) // waits for the first models
	fmt.Println(outcome.Result, outcome.Revision, err)
	models, err := store.Acquire()
	if err != nil {
		fmt.Println(err)
		return
	}
	r, err := models.Models.Translate(ctx, translate.Request{Text: "Good morning", Target: "swh_Latn"})
	fmt.Println(r.Text, err)
	_ = models.Release()

	stop()
	fmt.Println(<-ended)
	store.Swap(nil)
	// Output:
	// unchanged demo <nil>
	// Habari ya asubuhi <nil>
	// <nil>
}
